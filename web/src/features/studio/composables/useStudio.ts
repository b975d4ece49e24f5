import { computed, onScopeDispose, shallowRef } from 'vue'
import { type ApiError, asApiError } from '@/api/client'
import { getStream } from '@/api/streams'
import { getHealth, listDisconnects } from '@/api/studio'
import type { Disconnect, Health, Stream } from '@/api/types'
import { poll } from '@/lib/poll'

export interface StudioOptions {
  /** Milliseconds between two looks. */
  every?: number
  load?: (stream: string, signal?: AbortSignal) => Promise<Stream>
  health?: (stream: string, signal?: AbortSignal) => Promise<Health>
  disconnects?: (stream: string, signal?: AbortSignal) => Promise<Disconnect[]>
}

/** A stream as its owner sees it, kept fresh: its state, its health while it is on air, and why encoders left. */
export function useStudio(slug: string, options: StudioOptions = {}) {
  const {
    every = 2_000,
    load = getStream,
    health: loadHealth = getHealth,
    disconnects: loadLog = listDisconnects,
  } = options
  const stream = shallowRef<Stream | null>(null)
  const health = shallowRef<Health | null>(null)
  const disconnects = shallowRef<Disconnect[] | null>(null)
  /** Why there is nothing to show. */
  const error = shallowRef<ApiError | null>(null)
  const onAir = computed(() => stream.value?.state === 'live' || stream.value?.state === 'reconnecting')
  const abortion = new AbortController()
  /** The stream's id is the same under another slug. */
  const name = () => stream.value?.id ?? slug

  async function look(signal: AbortSignal = abortion.signal) {
    try {
      stream.value = await load(name(), signal)
      error.value = null
      const [now, log] = await Promise.all([
        // 409: nothing is on air. What fails otherwise is asked again with the next look.
        onAir.value ? loadHealth(name(), signal).catch(() => null) : null,
        loadLog(name(), signal).catch(() => disconnects.value),
      ])
      health.value = now
      disconnects.value = log
    } catch (reason) {
      if (signal.aborted) return
      if (!stream.value) error.value = asApiError(reason)
      throw reason
    }
  }

  void poll(look, abortion.signal, { every })
  onScopeDispose(() => abortion.abort())

  return {
    stream,
    health,
    disconnects,
    error,
    onAir,
    /** At once, after the page itself has changed something. */
    reload: () => look().catch(() => undefined),
    set: (next: Stream) => void (stream.value = { ...stream.value, ...next }),
  }
}
