import { describe, expect, it, vi } from 'vitest'
import { backoff, pause } from './backoff'

describe('backoff', () => {
  it('doubles up to its cap', () => {
    const waits = [0, 1, 2, 3, 99].map((n) => backoff(n, { base: 100, cap: 500, random: () => 0.5 }))
    expect(waits).toEqual([100, 200, 400, 500, 500])
  })
  it('spreads by its jitter on both sides', () => {
    expect(backoff(0, { base: 100, cap: 500, jitter: 0.4, random: () => 0 })).toBe(80)
    expect(backoff(0, { base: 100, cap: 500, jitter: 0.4, random: () => 0.999 })).toBe(120)
  })
})

it('a pause ends when its signal aborts', async () => {
  vi.useFakeTimers()
  const abortion = new AbortController()
  const waiting = pause(1e6, abortion.signal)
  abortion.abort()
  await waiting
  expect(vi.getTimerCount()).toBe(0)
  vi.useRealTimers()
})
