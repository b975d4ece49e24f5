import { describe, expect, it } from 'vitest'
import { rangesOf, type Standing, wayOut } from './unstick'

const base: Standing = {
  standing: 400,
  sinceSeek: Infinity,
  position: 9.95,
  ranges: [[0, 10]],
  gap: null,
  target: 0.64,
}
const out = (change: Partial<Standing>) => wayOut({ ...base, ...change })

describe('the way out of a standing picture', () => {
  it('is to wait where there is nothing new', () => {
    expect(out({})).toBeNull()
    expect(out({ ranges: [] })).toBeNull()
    expect(out({ gap: 10 })).toBeNull()
    expect(out({ gap: 10, ranges: [[0, 10.04]] })).toBeNull()
  })

  it('leads to the first picture of a returned publisher at once', () => {
    expect(out({ gap: 10, ranges: [[0, 10.2]] })).toBeCloseTo(10.001)
    expect(
      out({
        gap: 10,
        ranges: [
          [0, 10],
          [10.04, 10.24],
        ],
      }),
    ).toBeCloseTo(10.041)
  })

  it('leads over a hole', () => {
    const ranges: [number, number][] = [
      [0, 10],
      [10.04, 10.24],
    ]
    expect(out({ ranges })).toBeCloseTo(10.041)
    expect(out({ ranges, position: 9.6 })).toBeNull()
    expect(
      out({
        ranges: [
          [0, 10],
          [12, 13],
        ],
      }),
    ).toBeNull()
  })

  it('leads to where playback should be when there is plenty and it stands', () => {
    expect(out({ position: 8 })).toBeCloseTo(9.36)
    expect(out({ position: 9.45 })).toBeCloseTo(9.451)
    expect(out({ position: 9.6 })).toBeNull()
  })

  it('is not taken too soon nor too often', () => {
    expect(out({ position: 8, standing: 100 })).toBeNull()
    expect(out({ position: 8, sinceSeek: 300 })).toBeNull()
  })
})

it('reads ranges', () => {
  expect(rangesOf({ length: 2, start: (i) => i * 5, end: (i) => i * 5 + 2 })).toEqual([
    [0, 2],
    [5, 7],
  ])
})
