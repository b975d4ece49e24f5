import { expect, it } from 'vitest'
import { dateAt, datesOf, positionAt } from './dates'

const noon = Date.UTC(2026, 0, 1, 12)
/** Three segments; a minute in which nothing was sent lies before the third. */
const segments = [
  { start: 10, duration: 2, programDateTime: noon },
  { start: 12, duration: 2, programDateTime: noon + 2_000 },
  { start: 14, duration: 2, programDateTime: noon + 64_000 },
]

it.each([
  [10, 0],
  [11.5, 1_500],
  [13.999, 3_999],
  [14, 64_000],
  // Reckoned: parts of the open segment, and what has left the window.
  [17, 67_000],
  [8, -2_000],
])('position %d was %d ms after noon', (position, ms) =>
  expect(dateAt(segments, position)).toBeCloseTo(noon + ms),
)

it.each([
  [0, 10],
  [1_500, 11.5],
  [3_000, 13],
  // Nothing was sent: the next picture.
  [30_000, 14],
  [65_000, 15],
  [-5_000, 10],
  // Parts of the open segment.
  [67_000, 17],
])('%d ms after noon is position %d', (ms, position) =>
  expect(positionAt(segments, noon + ms)).toBeCloseTo(position),
)

it('knows nothing without dates', () => {
  const undated = [{ start: 0, duration: 2, programDateTime: null }]
  expect(dateAt(undated, 1)).toBeNull()
  expect(positionAt(undated, noon)).toBeNull()
  expect(datesOf(undated, { at: null, end: 2 })).toBeNull()
  expect(datesOf([], { at: null, end: 2 })).toBeNull()
})

it('tells the range', () => {
  expect(datesOf(segments, { at: null, end: 15 })).toEqual({
    start: noon,
    end: noon + 65_000,
    at: noon + 65_000,
  })
})
