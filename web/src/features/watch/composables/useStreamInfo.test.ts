// @vitest-environment jsdom
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { effectScope } from 'vue'
import { ApiError } from '@/api/client'
import type { Stream } from '@/api/types'
import { useStreamInfo } from './useStreamInfo'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

type Answer = Partial<Stream> | Error

function setup(answer: () => Answer) {
  const load = vi.fn(async () => {
    const said = answer()
    if (said instanceof Error) throw said
    return said as Stream
  })
  const scope = effectScope()
  const info = scope.run(() => useStreamInfo('main', { load, now: () => Date.now() }))
  if (!info) throw new Error('no scope')
  return { ...info, load, scope }
}

it('is asked more often while the stream is not on air', async () => {
  let answer: Answer = { id: '1' }
  const { load, offline, scope } = setup(() => answer)
  expect(offline()).toBe(false)
  await vi.advanceTimersByTimeAsync(10_000)
  expect(offline()).toBe(true)
  expect(load.mock.calls.length).toBeGreaterThanOrEqual(5)
  answer = { id: '1', session: { id: 's' } as Stream['session'] & object }
  await vi.advanceTimersByTimeAsync(3_000)
  expect(offline()).toBe(false)
  load.mockClear()
  await vi.advanceTimersByTimeAsync(10_000)
  expect(load.mock.calls.length).toBeLessThanOrEqual(3)
  scope.stop()
})

it('relies on no answer that is old', async () => {
  let answer: Answer = { id: '1' }
  const { offline, scope } = setup(() => answer)
  await vi.advanceTimersByTimeAsync(1_000)
  answer = new Error('away')
  await vi.advanceTimersByTimeAsync(20_000)
  expect(offline()).toBe(false)
  scope.stop()
})

it('tells a stream that does not exist', async () => {
  const { offline, unknown, scope } = setup(() => new ApiError(404, 'not_found', '', null))
  await vi.advanceTimersByTimeAsync(100)
  expect(unknown.value).toBe(true)
  expect(offline()).toBe(true)
  scope.stop()
})
