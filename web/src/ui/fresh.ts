import { onScopeDispose, ref, shallowRef } from 'vue'
import { type ApiError, asApiError } from '@/api/client'
import { poll, type PollOptions } from '@/lib/poll'

/** Something that a page shows and keeps fresh while it is seen. What was there stays where a look fails, and `error` says that it is old. */
export function useFresh<T>(load: (signal: AbortSignal) => Promise<T>, options: PollOptions) {
  const data = shallowRef<T | null>(null)
  const error = shallowRef<ApiError | null>(null)
  /** When `data` came, in milliseconds. */
  const at = ref<number | null>(null)
  const abortion = new AbortController()
  let newest = 0

  async function look(signal: AbortSignal = abortion.signal) {
    const mine = ++newest
    try {
      const loaded = await load(signal)
      // A later look may have been answered before.
      if (signal.aborted || mine !== newest) return
      data.value = loaded
      at.value = Date.now()
      error.value = null
    } catch (reason) {
      if (signal.aborted || mine !== newest) return
      error.value = asApiError(reason)
      throw reason
    }
  }

  void poll(look, abortion.signal, options)
  onScopeDispose(() => abortion.abort())
  return {
    data,
    error,
    at,
    /** At once, after the page itself has changed something. */
    reload: () => look().catch(() => undefined),
  }
}

export interface KeepOptions extends Partial<PollOptions> {
  /** Whether there is something to wait for; absent: always. */
  when?: () => boolean
}

/** Loads a list again and again while the page is seen. What it returns says that the list is old, and why. */
export function keepFresh(
  list: { refresh: () => Promise<void> },
  every: number,
  { when = () => true, ...options }: KeepOptions = {},
) {
  const error = shallowRef<ApiError | null>(null)
  const abortion = new AbortController()
  async function look(signal: AbortSignal) {
    try {
      if (when()) await list.refresh()
      error.value = null
    } catch (reason) {
      if (!signal.aborted) error.value = asApiError(reason)
      throw reason
    }
  }
  void poll(look, abortion.signal, { every, after: every, ...options })
  onScopeDispose(() => abortion.abort())
  return error
}
