"""Lowering of convolutions, to the kernels in `correlations.py`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypedDict

import numpy as np

from nengo_jit.engines.cpu.kernels.correlations import correlate_filters, correlate_pixels
from nengo_jit.engines.cpu.kernels.held import hold_in_place
from nengo_jit.engines.cpu.kernels.operator import copy_planes, copy_strided
from nengo_jit.engines.cpu.kernels.windows import (
    Correlation,
    Image,
    correlation_of,
    planes_of,
    runs_of,
)
from nengo_jit.engines.cpu.language.kernel import start
from nengo_jit.engines.cpu.language.primitives import Address
from nengo_jit.engines.cpu.program.contracts import contiguous
from nengo_jit.engines.cpu.program.fusion import Part
from nengo_jit.engines.cpu.program.lowering import Lowered, Lowering, lowers
from nengo_jit.ir.transforms import ConvInc, ConvTransposeInc, GeneralConvInc

# runs after a convolution; `copy_strided` itself runs before it
copy_result = copy_strided.variant(stage=2)

View = Callable[[np.ndarray], np.ndarray]


class Sums(TypedDict):
    """The columns of `correlate_filters` and `correlate_pixels` that are about the output."""

    begin: Address
    y: Address
    first_y: Address
    n: int


@lowers(ConvInc)
@lowers(ConvTransposeInc)
@lowers(GeneralConvInc)
def lower_conv_inc(operator: GeneralConvInc, lowering: Lowering) -> Lowered:
    """Correlate, with pixels or filters side by side, whichever is the least work."""
    correlation = correlation_of(operator, *operator._images(lowering.facts.signals))
    if correlation.cost_by_pixels() < correlation.cost_by_filters():
        return _by_pixels(operator, correlation, lowering)
    return _by_filters(operator, correlation, lowering)


def _by_filters(operator: GeneralConvInc, correlation: Correlation, lowering: Lowering) -> Lowered:
    """Return rows of `correlate_filters`; copy images with margins, or with channels first."""
    W, X, down, across = correlation.W, correlation.X, correlation.down, correlation.across
    before: Lowered = []
    image = _whole(X)
    if not correlation.can_be_read_by_filters:
        (top, bottom), (left, right) = correlation.margins
        shape = top + X.shape[0] + bottom, left + X.shape[1] + right, X.shape[2]
        padded = _buffer(shape, lowering)
        inside = padded[top : top + X.shape[0], left : left + X.shape[1]]
        before = copy_planes(X, inside, inc=False)
        image = _whole(padded)._replace(margins=(top, left))
    skip = lowering.facts.is_fixed(operator.W) and bool(np.isfinite(W).all())
    if skip:
        lowering.assumptions.assume(operator.W, lambda: bool(np.isfinite(W).all()))
    tables = [runs_of(W, image, rows, columns) for rows in down for columns in across]
    size, filters = max(map(len, tables)), W.shape[3]
    runs = [[*table, *[0] * (size - len(table))] for table in tables]
    geometry = [
        *(filters, filters // correlation.groups, correlation.Y.shape[1]),
        *(int(correlation.is_channelwise), len(down), len(across)),
        *(image.down * down[0].step, image.right * across[0].step, image.channel * W.shape[2]),
        *(int(skip), size),
    ]
    sums, after = _sums(operator, correlation.Y, lambda images: images, lowering)
    noticed, record = _notice(operator, lowering)
    row = correlate_filters.row(
        **sums,
        x=image.start,
        weights=start(W),
        geometry=lowering.arena.constant(geometry, np.int64),
        runs=lowering.arena.constant(runs, np.int64),
        m=max(W[..., 0].size // len(tables), 1),
        record=record,
    )
    return [*before, *noticed, row, *after]


def _by_pixels(operator: GeneralConvInc, correlation: Correlation, lowering: Lowering) -> Lowered:
    """Return rows of `correlate_pixels`, one for each phase; copy images with channels last."""
    W, X, down, across = correlation.W, correlation.X, correlation.down, correlation.across
    image, before = _whole(X), Lowered()
    if not correlation.can_be_read_by_pixels:
        image, before = _separated(correlation, lowering)
    noticed, record = _notice(operator, lowering)
    lowered, after = [*before, *noticed], Lowered()
    for i, rows in enumerate(down):
        for j, columns in enumerate(across):
            view = partial(_phase_of, down=(i, len(down)), across=(j, len(across)))
            filters, height, width = view(correlation.Y).shape
            if height * width == 0:
                continue
            sums, copied = _sums(operator, correlation.Y, view, lowering)
            after += copied
            to_row = image.down * rows.step
            if to_row == width * X.itemsize:  # all rows are one
                width = height * width
            geometry = [
                *(sums["n"] // filters, width, filters // correlation.groups),
                *(to_row, image.channel * W.shape[2]),
            ]
            table = runs_of(W, image, rows, columns, by_pixels=True)
            row = correlate_pixels.row(
                **sums,
                x=image.start,
                weights=start(W),
                geometry=lowering.arena.constant(geometry, np.int64),
                runs=lowering.arena.constant(table, np.int64),
                m=max(len(rows.kernel) * len(columns.kernel) * W.shape[2], 1),
                record=record,
            )
            lowered.append(row)
    return [*lowered, *after]


def _phase_of(image: np.ndarray, down: tuple[int, int], across: tuple[int, int]) -> np.ndarray:
    """Return those pixels of an image that are of a phase, of so many, with channels first."""
    return planes_of(image)[:, down[0] :: down[1], across[0] :: across[1]]


def _whole(X: np.ndarray) -> Image:
    """Return an image without margins, where it lies."""
    down, right, channel = X.strides
    return Image(start(X), down, right, channel)


def _separated(correlation: Correlation, lowering: Lowering) -> tuple[Image, Lowered]:
    """Return a copy of an image with margins and channels first, and rows that copy.

    Columns that are not seen by neighbouring windows lie apart.
    """
    X, step = correlation.X, correlation.across[0].step
    (top, bottom), (left, right) = correlation.margins
    height, width, channels = X.shape
    shape = channels, step, top + height + bottom, -(-(left + width + right) // step)
    copy, rows = _buffer(shape, lowering), Lowered()
    for phase in range(step):
        first = (phase - left) % step
        source = planes_of(X)[:, :, first::step]
        place = (left + first) // step
        target = copy[:, phase, top : top + height, place : place + source.shape[2]]
        rows += copy_planes(source, target, inc=False)
    channel, apart, down, across = copy.strides
    return Image(start(copy), down, across, channel, (top, left), step, apart), rows


def _sums(
    operator: GeneralConvInc, Y: np.ndarray, view: View, lowering: Lowering
) -> tuple[Sums, Lowered]:
    """Return where a kernel adds up a view of images, and rows that copy the result if need be.

    If a reset of the output is fused into the convolution, sums begin with its value.
    """
    y, setter = view(Y), lowering.part_of(operator, Part.BIAS)
    result = y if contiguous(y) else _buffer(y.shape, lowering)
    after: Lowered = []
    if result is not y:
        after = [row.for_kernel(copy_result) for row in copy_planes(result, y, inc=setter is None)]
    if setter is not None:
        begin = lowering.arena.numbers(np.full(y.size, setter.value))
    else:
        begin = start(y if result is y else _buffer(y.shape, lowering))
    return {"begin": begin, "y": start(result), "first_y": start(result), "n": y.size}, after


def _notice(operator: GeneralConvInc, lowering: Lowering) -> tuple[Lowered, Address]:
    """Return what notices, while images are copied, whether sums can be kept, and their record."""
    rows, record = hold_in_place(operator, lowering)
    return [row.for_kernel(row.kernel.variant(stage=0)) for row in rows], record


def _buffer(shape: tuple[int, ...], lowering: Lowering) -> np.ndarray:
    """Return zeros that kernels may write to."""
    return lowering.arena.buffer(int(np.prod(shape)), lowering.dtype).reshape(shape)
