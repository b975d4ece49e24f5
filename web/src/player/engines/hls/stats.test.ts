import { describe, expect, it } from 'vitest'
import { forwardBuffer } from './stats'

function element(currentTime: number, ...ranges: [number, number][]) {
  const at = (i: number) => ranges[i] ?? [0, 0]
  return {
    currentTime,
    buffered: { length: ranges.length, start: (i: number) => at(i)[0], end: (i: number) => at(i)[1] },
  }
}

describe('forward buffer', () => {
  it('ends at the first hole', () => {
    expect(forwardBuffer(element(5, [0, 6], [6.5, 9]))).toBeCloseTo(1)
    expect(forwardBuffer(element(6.2, [0, 6], [6.5, 9]))).toBe(0)
    expect(forwardBuffer(element(0))).toBe(0)
  })
})
