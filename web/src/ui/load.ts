import { onScopeDispose, ref, shallowRef } from 'vue'
import { type ApiError, asApiError } from '@/api/client'
import type { Page } from '@/api/types'

/** Something that a page shows: loaded at once, and again by `reload`. What is shown stays until the next is there. */
export function useLoad<T>(load: (signal: AbortSignal) => Promise<T>) {
  const data = shallowRef<T | null>(null)
  const error = shallowRef<ApiError | null>(null)
  let abortion = new AbortController()

  async function reload() {
    abortion.abort()
    abortion = new AbortController()
    const { signal } = abortion
    error.value = null
    try {
      const loaded = await load(signal)
      if (!signal.aborted) data.value = loaded
    } catch (reason) {
      if (!signal.aborted) error.value = asApiError(reason)
    }
  }

  void reload()
  onScopeDispose(() => abortion.abort())
  return { data, error, reload }
}

/** A list that comes by pages. `items` is null until the first is there. */
export function usePages<T>(load: (cursor: string | null, signal: AbortSignal) => Promise<Page<T>>) {
  const items = shallowRef<T[] | null>(null)
  const error = shallowRef<ApiError | null>(null)
  const busy = ref(false)
  const next = ref<string | null>(null)
  let abortion = new AbortController()
  /** More than the first page is shown. */
  let grown = false

  async function fetch(cursor: string | null) {
    abortion.abort()
    abortion = new AbortController()
    const { signal } = abortion
    error.value = null
    busy.value = true
    try {
      const page = await load(cursor, signal)
      if (signal.aborted) return
      items.value = cursor === null ? page.items : [...(items.value ?? []), ...page.items]
      next.value = page.next_cursor
      grown = cursor !== null
    } catch (reason) {
      if (!signal.aborted) error.value = asApiError(reason)
    } finally {
      if (!signal.aborted) busy.value = false
    }
  }

  async function refresh() {
    if (busy.value || grown || items.value === null) return
    const { signal } = abortion
    try {
      const page = await load(null, signal)
      // Whatever was asked for meanwhile goes first.
      if (signal.aborted) return
      items.value = page.items
      next.value = page.next_cursor
    } catch (reason) {
      if (!signal.aborted) throw reason
    }
  }

  void fetch(null)
  onScopeDispose(() => abortion.abort())
  return {
    items,
    error,
    busy,
    next,
    reload: () => fetch(null),
    /** The first page anew, as if nothing were asked, unless more is shown: whoever reads on keeps their place. */
    refresh,
    more: () => (next.value === null ? Promise.resolve() : fetch(next.value)),
  }
}
