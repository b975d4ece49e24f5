import { onScopeDispose, ref, shallowRef } from 'vue'
import { listLive } from '@/api/streams'
import type { Stream } from '@/api/types'
import { poll } from '@/lib/poll'

export interface LiveStreamsOptions {
  /** Milliseconds between two looks: a new stream must be on the page within five seconds. */
  every?: number
  /** Milliseconds until the first look. */
  after?: number
  load?: (signal: AbortSignal) => Promise<Stream[]>
  now?: () => number
}

/** What is live, kept fresh for as long as the component stands. */
export function useLiveStreams(options: LiveStreamsOptions = {}) {
  const { every = 3_500, after = 0, load = listLive, now = Date.now } = options
  const streams = shallowRef<Stream[] | null>(null)
  const error = shallowRef<unknown>(null)
  const at = ref(now())
  const abortion = new AbortController()

  void poll(
    async (signal) => {
      try {
        streams.value = await load(signal)
        error.value = null
      } catch (reason) {
        if (signal.aborted) return
        error.value = reason
        throw reason
      } finally {
        at.value = now()
      }
    },
    abortion.signal,
    { every, after },
  )
  onScopeDispose(() => abortion.abort())
  return { streams, error, at }
}
