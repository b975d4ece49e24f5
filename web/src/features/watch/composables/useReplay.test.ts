// @vitest-environment jsdom
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { effectScope, nextTick, ref } from 'vue'
import { useReplay } from './useReplay'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function setup(answers: (string | undefined | Error)[]) {
  const session = ref<{ id: string } | null>({ id: 's1' })
  const over = ref(false)
  const load = vi.fn(async () => {
    const answer = answers.length > 1 ? answers.shift() : answers[0]
    if (answer instanceof Error) throw answer
    return answer === undefined ? {} : { replay_video_id: answer }
  })
  const scope = effectScope()
  const replay = scope.run(() => useReplay('main', session, over, { every: 1_000, looks: 5, load }))
  return { session, over, load, scope, replay }
}

it('is looked for from the end of the broadcast until it exists', async () => {
  const { over, load, replay, scope } = setup([undefined, new Error('busy'), 'v1'])
  await vi.advanceTimersByTimeAsync(5_000)
  expect(load).not.toHaveBeenCalled()
  over.value = true
  await vi.advanceTimersByTimeAsync(10_000)
  expect(replay?.value).toBe('v1')
  expect(load).toHaveBeenCalledTimes(3)
  expect(load).toHaveBeenLastCalledWith('main', 's1', expect.anything())

  // The next broadcast begins.
  over.value = false
  await nextTick()
  expect(replay?.value).toBeNull()
  scope.stop()
})

it('is given up after some looks, and when the page is left', async () => {
  const { over, load, scope } = setup([undefined])
  over.value = true
  await vi.advanceTimersByTimeAsync(60_000)
  expect(load).toHaveBeenCalledTimes(5)
  over.value = false
  await nextTick()
  over.value = true
  await vi.advanceTimersByTimeAsync(1_500)
  const asked = load.mock.calls.length
  scope.stop()
  await vi.advanceTimersByTimeAsync(60_000)
  expect(load).toHaveBeenCalledTimes(asked)
})
