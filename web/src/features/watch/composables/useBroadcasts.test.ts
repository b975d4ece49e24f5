// @vitest-environment jsdom
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { effectScope, nextTick, ref } from 'vue'
import type { Session, Stream, Video } from '@/api/types'
import { useBroadcasts } from './useBroadcasts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function setup() {
  const stream = ref<Pick<Stream, 'id' | 'session'> | null>(null)
  const sessions = vi.fn(async () => [{ id: 's', replay_video_id: 'v' } as Session])
  const videos = vi.fn(async () => [] as Video[])
  const scope = effectScope()
  const broadcasts = scope.run(() => useBroadcasts('main', stream, ref(null), { sessions, videos }))
  return { stream, sessions, scope, broadcasts }
}

it('are asked for at once where no picture is to come', async () => {
  const { stream, sessions, scope, broadcasts } = setup()
  await vi.advanceTimersByTimeAsync(100)
  expect(sessions).not.toHaveBeenCalled()
  stream.value = { id: '1' }
  await nextTick()
  await vi.advanceTimersByTimeAsync(10)
  expect(broadcasts?.value.map(({ video }) => video)).toEqual(['v'])
  await vi.advanceTimersByTimeAsync(10_000)
  expect(sessions).toHaveBeenCalledTimes(1)
  scope.stop()
})

it('wait for the picture of a stream that is on air', async () => {
  const { stream, sessions, scope } = setup()
  stream.value = { id: '1', session: { id: 's' } as Session }
  await vi.advanceTimersByTimeAsync(2_500)
  expect(sessions).not.toHaveBeenCalled()
  await vi.advanceTimersByTimeAsync(1_000)
  expect(sessions).toHaveBeenCalledTimes(1)
  scope.stop()
})
