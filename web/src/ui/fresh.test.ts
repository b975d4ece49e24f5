// @vitest-environment jsdom
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { effectScope } from 'vue'
import { ApiError } from '@/api/client'
import type { Page } from '@/api/types'
import { keepFresh, useFresh } from './fresh'
import { usePages } from './load'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function inScope<T>(setup: () => T) {
  const scope = effectScope()
  const made = scope.run(setup)
  if (!made) throw new Error('no scope')
  return { made, stop: () => scope.stop() }
}

it('keeps what was there, and says that it is old, while looks fail', async () => {
  let answer: number | Error = 1
  const load = vi.fn(async () => {
    if (answer instanceof Error) throw answer
    return answer
  })
  const { made, stop } = inScope(() => useFresh(load, { every: 1_000, random: () => 0 }))
  await vi.advanceTimersByTimeAsync(1)
  expect(made.data.value).toBe(1)
  answer = new ApiError(503, 'unavailable', '', null)
  await vi.advanceTimersByTimeAsync(3_000)
  expect(made.data.value).toBe(1)
  expect(made.error.value?.code).toBe('unavailable')
  answer = 2
  await vi.advanceTimersByTimeAsync(10_000)
  expect(made.data.value).toBe(2)
  expect(made.error.value).toBeNull()
  stop()
  load.mockClear()
  await vi.advanceTimersByTimeAsync(60_000)
  expect(load).not.toHaveBeenCalled()
})

it('does not let an old answer stand for a newer one', async () => {
  const answers: ((value: string) => void)[] = []
  const load = () => new Promise<string>((resolve) => answers.push(resolve))
  const { made, stop } = inScope(() => useFresh(load, { every: 1_000, visible: () => true }))
  await vi.advanceTimersByTimeAsync(1)
  const again = made.reload()
  answers[1]?.('new')
  await again
  answers[0]?.('old')
  await vi.advanceTimersByTimeAsync(1)
  expect(made.data.value).toBe('new')
  stop()
})

it('keeps a list fresh until more of it is shown', async () => {
  let round = 0
  const load = vi.fn(async (cursor: string | null): Promise<Page<string>> =>
    cursor === null
      ? { items: [`first ${++round}`], next_cursor: 'more' }
      : { items: ['second'], next_cursor: null },
  )
  const { made, stop } = inScope(() => {
    const list = usePages<string>(load)
    return { list, old: keepFresh(list, 1_000, { random: () => 0 }) }
  })
  await vi.advanceTimersByTimeAsync(1)
  expect(made.list.items.value).toEqual(['first 1'])
  await vi.advanceTimersByTimeAsync(2_500)
  expect(made.list.items.value).toEqual(['first 3'])
  expect(made.list.busy.value).toBe(false)
  await made.list.more()
  load.mockClear()
  await vi.advanceTimersByTimeAsync(5_000)
  expect(load).not.toHaveBeenCalled()
  expect(made.list.items.value).toEqual(['first 3', 'second'])
  load.mockRejectedValue(new ApiError(500, 'internal', '', null))
  await made.list.reload()
  expect(made.list.items.value).toEqual(['first 3', 'second'])
  stop()
})

it('says that a list is old', async () => {
  const load = vi.fn(async (): Promise<Page<string>> => ({ items: ['one'], next_cursor: null }))
  const { made, stop } = inScope(() => {
    const list = usePages<string>(load)
    return { list, old: keepFresh(list, 1_000, { random: () => 0 }) }
  })
  await vi.advanceTimersByTimeAsync(1)
  load.mockRejectedValue(new ApiError(503, 'unavailable', '', null))
  await vi.advanceTimersByTimeAsync(1_500)
  expect(made.old.value?.code).toBe('unavailable')
  expect(made.list.items.value).toEqual(['one'])
  expect(made.list.error.value).toBeNull()
  stop()
})

it('does not ask while there is nothing to wait for, and no list is old then', async () => {
  const load = vi.fn(async (): Promise<Page<string>> => ({ items: ['made'], next_cursor: null }))
  let waiting = false
  const { made, stop } = inScope(() => {
    const list = usePages<string>(load)
    return { list, old: keepFresh(list, 1_000, { when: () => waiting, random: () => 0 }) }
  })
  await vi.advanceTimersByTimeAsync(5_000)
  expect(load).toHaveBeenCalledTimes(1)
  waiting = true
  load.mockRejectedValue(new ApiError(503, 'unavailable', '', null))
  await vi.advanceTimersByTimeAsync(1_500)
  expect(made.old.value?.code).toBe('unavailable')
  waiting = false
  await vi.advanceTimersByTimeAsync(5_000)
  expect(made.old.value).toBeNull()
  stop()
})
