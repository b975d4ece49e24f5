import { defineStore } from 'pinia'
import { shallowRef } from 'vue'
import { getConfig } from '@/api/site'

/** What the server says of itself. Pages work without it, so it is asked once and never waited for. */
export const useSite = defineStore('site', () => {
  const name = shallowRef('mediad')
  /** What to type into an encoder; null where RTMP is off. */
  const rtmp = shallowRef<string | null>(`rtmp://${location.hostname}/live`)
  /** Any key publishes, and is the stream's name. */
  const open = shallowRef(false)
  /** Streams can be played in real time, where they offer it. */
  const whep = shallowRef(false)
  /** Viewers can seek back while it is live. */
  const dvr = shallowRef(true)
  /** Clips can be cut out of broadcasts, by whom the site lets: that is told where somebody tries. */
  const clips = shallowRef(false)
  /** Links are mailed: for a new password, and to confirm an address. */
  const mail = shallowRef(true)
  /** Who may make an account: open, invite, closed. */
  const registration = shallowRef('open')
  let asked = false
  return {
    name,
    rtmp,
    open,
    whep,
    dvr,
    clips,
    mail,
    registration,
    async load() {
      if (asked) return
      asked = true
      try {
        const config = await getConfig()
        name.value = config.site_name
        rtmp.value = config.ingest.rtmp_url
        open.value = config.ingest.open
        whep.value = config.features.whep
        dvr.value = config.features.dvr
        clips.value = config.features.clips
        mail.value = config.features.mail
        registration.value = config.registration
      } catch {
        asked = false
      }
    },
  }
})
