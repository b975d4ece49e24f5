import { describe, expect, it } from 'vitest'
import { forwardBuffer, levelName } from './stats'

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

describe('level names', () => {
  it.each([
    [{ height: 1080, frameRate: 60, bitrate: 6e6 }, '1080p60'],
    [{ height: 720, frameRate: 30, bitrate: 3e6 }, '720p'],
    [{ height: 0, frameRate: 0, bitrate: 128e3 }, '128 kbit/s'],
  ])('%j is %s', (level, name) => expect(levelName(level)).toBe(name))
})
