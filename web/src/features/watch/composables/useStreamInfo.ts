import { onScopeDispose, ref, shallowRef } from 'vue'
import { ApiError } from '@/api/client'
import { getStream } from '@/api/streams'
import type { Stream } from '@/api/types'
import { poll } from '@/lib/poll'

export interface StreamInfoOptions {
  /** Milliseconds between two looks. */
  every?: number
  /** The same while a stream that is known is not on air: the player waits for the news of its beginning. */
  everyOffline?: number
  now?: () => number
  load?: (stream: string, signal: AbortSignal) => Promise<Stream>
}

/** Milliseconds for which what the API said is relied upon. */
const fresh = 8_000

/** What the API knows of one stream. A stream that it does not know may still begin, so 404 is an answer. */
export function useStreamInfo(slug: string, options: StreamInfoOptions = {}) {
  const { every = 5_000, everyOffline = 2_000, now = () => performance.now(), load = getStream } = options
  const stream = shallowRef<Stream | null>(null)
  const unknown = ref(false)
  const abortion = new AbortController()
  let toldAt = -Infinity

  void poll(
    async (signal) => {
      try {
        stream.value = await load(slug, signal)
        unknown.value = false
      } catch (error) {
        if (!(error instanceof ApiError) || error.status !== 404) throw error
        stream.value = null
        unknown.value = true
      }
      toldAt = now()
    },
    abortion.signal,
    { every: () => (stream.value && !stream.value.session ? everyOffline : every) },
  )
  onScopeDispose(() => abortion.abort())

  /** Nothing is on air, by what the API has just said: nobody needs to ask for media. */
  const offline = () => now() - toldAt < fresh && (unknown.value || stream.value?.session === undefined)
  return { stream, unknown, offline }
}
