import { shallowRef } from 'vue'
import { type ApiError, asApiError } from '@/api/client'
import type { usePages } from '@/ui/load'

interface Item {
  video: { id: string }
}

/** Takes videos out of a list that comes by pages: gone at once, and back where the server refuses. */
export function useRemovable<T extends Item>(
  list: Pick<ReturnType<typeof usePages<T>>, 'items' | 'next' | 'more'>,
  send: (video: string) => Promise<void>,
) {
  /** Why the last one is back. */
  const failure = shallowRef<ApiError | null>(null)

  async function remove(item: T) {
    const before = list.items.value ?? []
    const place = before.indexOf(item)
    failure.value = null
    list.items.value = before.filter((other) => other !== item)
    try {
      await send(item.video.id)
    } catch (error) {
      failure.value = asApiError(error)
      const now = list.items.value ?? []
      list.items.value = [...now.slice(0, place), item, ...now.slice(place)]
      return
    }
    // A page that is empty may have another behind it.
    if (list.items.value?.length === 0 && list.next.value !== null) await list.more()
  }

  return { failure, remove }
}
