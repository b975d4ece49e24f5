import { onScopeDispose, ref, shallowRef } from 'vue'
import { ApiError } from '@/api/client'
import { getStream } from '@/api/streams'
import type { Stream } from '@/api/types'
import { poll } from '@/lib/poll'

export interface StreamInfoOptions {
  /** Milliseconds between two looks. */
  every?: number
  load?: (stream: string, signal: AbortSignal) => Promise<Stream>
}

/** What the API knows of one stream. A stream that it does not know may still begin, so 404 is an answer. */
export function useStreamInfo(slug: string, options: StreamInfoOptions = {}) {
  const { every = 5_000, load = getStream } = options
  const stream = shallowRef<Stream | null>(null)
  const unknown = ref(false)
  const abortion = new AbortController()

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
    },
    abortion.signal,
    { every },
  )
  onScopeDispose(() => abortion.abort())
  return { stream, unknown }
}
