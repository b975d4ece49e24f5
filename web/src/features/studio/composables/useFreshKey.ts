import { shallowReactive } from 'vue'
import { defineStore } from 'pinia'

/** Keys that the server has shown once, until the page is left or reloaded. They are nowhere else: no storage, no address. */
export const useFreshKey = defineStore('fresh-key', () => {
  const keys = shallowReactive(new Map<string, string>())
  return {
    /** null: there is none any more. */
    keep(stream: string, key: string | null) {
      if (key) keys.set(stream, key)
      else keys.delete(stream)
    },
    of: (stream: string) => keys.get(stream) ?? null,
  }
})
