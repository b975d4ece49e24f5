// @vitest-environment jsdom
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { poll } from './poll'

describe('poll', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())
  const middle = { random: () => 0.5 }

  it('runs at once and then at its pace', async () => {
    const run = vi.fn(async () => undefined)
    const abortion = new AbortController()
    void poll(run, abortion.signal, { every: 1_000, visible: () => true, ...middle })
    await vi.advanceTimersByTimeAsync(3_500)
    expect(run).toHaveBeenCalledTimes(4)
    abortion.abort()
    await vi.advanceTimersByTimeAsync(5_000)
    expect(run).toHaveBeenCalledTimes(4)
  })

  it('slows down while it fails', async () => {
    const run = vi.fn(() => Promise.reject(new Error('no')))
    const abortion = new AbortController()
    void poll(run, abortion.signal, { every: 1_000, visible: () => true, ...middle })
    await vi.advanceTimersByTimeAsync(10_500)
    expect(run.mock.calls.length).toBeLessThanOrEqual(4)
    abortion.abort()
  })

  it('asks nothing while hidden and at once when it is back in sight', async () => {
    let visible = false
    const run = vi.fn(async () => undefined)
    const abortion = new AbortController()
    void poll(run, abortion.signal, { every: 1_000_000, visible: () => visible, ...middle })
    await vi.advanceTimersByTimeAsync(5_000)
    expect(run).not.toHaveBeenCalled()
    visible = true
    document.dispatchEvent(new Event('visibilitychange'))
    await vi.advanceTimersByTimeAsync(10)
    expect(run).toHaveBeenCalledTimes(1)
    abortion.abort()
  })
})
