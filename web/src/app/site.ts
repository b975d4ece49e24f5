import { defineStore } from 'pinia'
import { shallowRef } from 'vue'
import { getConfig } from '@/api/site'

/** What the server says of itself. Pages work without it, so it is asked once and never waited for. */
export const useSite = defineStore('site', () => {
  const name = shallowRef('mediad')
  const rtmp = shallowRef(`rtmp://${location.hostname}/live`)
  let asked = false
  return {
    name,
    rtmp,
    async load() {
      if (asked) return
      asked = true
      try {
        const config = await getConfig()
        if (config.site_name) name.value = config.site_name
        if (config.ingest?.rtmp_url) rtmp.value = config.ingest.rtmp_url
      } catch {
        asked = false
      }
    },
  }
})
