import { onScopeDispose, type Ref, shallowRef, watch } from 'vue'
import type { Stream, User } from '@/api/types'
import { getUser } from '@/api/users'
import { pause } from '@/lib/backoff'

export interface OwnerOptions {
  /** Milliseconds that the picture has ahead: connections are scarce at the start. */
  after?: number
  load?: (name: string, signal: AbortSignal) => Promise<User>
}

/** Whose stream it is, with what the caller has to do with them: who that is changes the answer. */
export function useOwner(
  stream: Ref<Stream | null>,
  caller: () => string | undefined,
  options: OwnerOptions = {},
) {
  const { after = 800, load = getUser } = options
  const owner = shallowRef<User | null>(null)
  let abortion = new AbortController()
  watch(
    [() => stream.value?.owner?.username, caller],
    async ([name]) => {
      abortion.abort()
      abortion = new AbortController()
      const { signal } = abortion
      if (!name) return
      if (!owner.value) await pause(after, signal)
      if (signal.aborted) return
      // Without an answer there is nothing to follow here; the page is about the stream.
      const user = await load(name, signal).catch(() => null)
      if (!signal.aborted) owner.value = user
    },
    { immediate: true },
  )
  onScopeDispose(() => abortion.abort())
  return owner
}
