import { computed, onBeforeUnmount, ref, shallowRef, watch } from 'vue'
import { ArchiveEngine } from '../engines/hls/archive'
import { HlsBase } from '../engines/hls/base'
import { HlsEngine } from '../engines/hls/engine'
import { untilLive } from '../engines/hls/knock'
import { type EngineState, idle } from '../engines/states'
import type { Quality, Wish } from '../engines/hls/quality'
import type { Delivery, PlayerEngine, Stats, Unusable } from '../engines/engine'
import { autoplay } from '../shell/autoplay'
import { claim, startEngine } from '../shell/hls-source'
import type { VideoJsPlayer } from '../shell/shell'
import { readPreferences, writePreferences } from './preferences'
import { type Dvr, type Timeline, timelineOf, type Way } from './timeline'

export interface PlayerSource {
  /** Multivariant playlist; that of a stream is valid before it is live. */
  src: () => string
  /** Of a stream: its WHEP endpoint and how far it can be watched back, where there is such a thing. */
  whep?: () => string | null
  dvr?: () => Dvr | null
  /** Whether it is known that the stream is not on air: its playlist is not asked for then. */
  offline?: () => boolean
  /** Of a video: seconds from which it is played. */
  from?: number
  /** Media refuses the address: it may have to be asked for anew. */
  denied?: () => void
}

/** Seconds before the live edge from where who seeks there from the DVR means the edge. */
const nearLive = 10
export const speeds = [0.5, 0.75, 1, 1.25, 1.5, 2] as const

/** The player as the page sees it: refs to draw, and what the viewer can do. */
export function usePlayer(source: PlayerSource) {
  const { src, whep = () => null, dvr = () => null, offline = () => false, from, denied } = source
  const way = ref<Way>(from === undefined ? 'live' : 'video')
  const timeline = shallowRef<Timeline | null>(null)
  const speed = ref(1)
  const video = shallowRef<HTMLVideoElement | null>(null)
  const preferences = readPreferences()
  const state = shallowRef<EngineState>(idle)
  const stats = shallowRef<Stats | null>(null)
  const qualities = shallowRef<Quality[]>([])
  const quality = shallowRef<Wish>(preferences.quality)
  const delivery = ref<Delivery>(preferences.delivery)
  /** Why real time was given up; null: it was not, or the viewer has been told. */
  const gaveUp = ref<Unusable | null>(null)
  const paused = ref(true)
  const refused = ref(false)
  const muted = ref(true)
  const volume = ref(preferences.volume)
  const position = ref(0)
  const fullscreen = ref(false)
  const pip = ref(false)
  const active = ref(true)
  /** A picture was shown at least once, so there is something behind a slate. */
  const shown = ref(false)
  /** What plays has a picture, as far as is known. */
  const pictured = ref(true)

  /** Comes after the first picture, or where the engine cannot play; until then the element is alone. */
  let shell: Promise<VideoJsPlayer> | null = null
  let engine: PlayerEngine | null = null
  /** Real time on its way, while low latency still plays. */
  let joining: PlayerEngine | null = null
  const cleanups: (() => void)[] = []

  function adopt(made: PlayerEngine) {
    engine = made
    made.on('state', (next) => {
      if (engine !== made) return
      state.value = next
      if (next.phase === 'playing') {
        shown.value = true
        void wrap()
      }
      if (next.phase === 'loading') void begin()
      ending.abort()
      if (next.phase === 'ended' && way.value === 'dvr') awaitNext()
    })
    made.on('stats', (next) => {
      stats.value = next
      position.value = video.value?.currentTime ?? 0
      // While another source loads, the bar stands where the viewer has put it.
      if (state.value.phase !== 'loading' || !timeline.value)
        timeline.value = timelineOf(way.value, next, position.value, dvr())
    })
    if (denied) made.on('denied', denied)
    made.on('qualities', (next) => (qualities.value = next))
    made.choose(quality.value)
  }

  /** Plays in the element from now on; what played before leaves it first. */
  function replace(made: HlsBase) {
    const before = engine
    joining?.destroy()
    joining = null
    adopt(made)
    const el = video.value
    if (el) claim(el, src(), made)
    before?.destroy()
    made.start()
  }

  /** Goes on behind the live window, at a programme date. False: there is no such way. */
  function toDvr(date: number): boolean {
    const el = video.value
    const range = dvr()
    if (!el || !range || !HlsEngine.supported) return false
    way.value = 'dvr'
    const { url } = range
    replace(new ArchiveEngine({ video: el, url, from: { date }, dvr: { onEdge: toLive, onLost: toLive } }))
    return true
  }

  /** Back to the live playlist, at its edge. */
  function toLive() {
    const el = video.value
    if (!el) return
    way.value = 'live'
    setSpeed(1)
    const before = engine
    engine = null
    before?.destroy()
    startEngine(el, src(), adopt, { onLeft: toDvr, offline })
  }

  let ending = new AbortController()
  /** The broadcast was watched to its end in the DVR: the next one is live. */
  function awaitNext() {
    ending = new AbortController()
    const { signal } = ending
    const visible = () => document.visibilityState === 'visible'
    const knocking = { fetch: globalThis.fetch.bind(globalThis), random: Math.random, visible, offline }
    void untilLive(src(), signal, knocking).then(() => signal.aborted || toLive())
  }

  function setSpeed(value: number) {
    const el = video.value
    if (!el) return
    speed.value = value
    // The element takes the default with each new source.
    el.defaultPlaybackRate = el.playbackRate = value
  }

  function seek(to: number) {
    const line = timeline.value
    if (!line || !engine) return
    const at = Math.min(Math.max(to, line.start), line.end)
    const wasOver = state.value.phase === 'ended'
    timeline.value = { ...line, at }
    if (line.dated) seekDate(at * 1_000)
    else engine.seek(at)
    if (wasOver) void video.value?.play().catch(() => (refused.value = true))
  }

  function seekDate(date: number) {
    const edge = stats.value?.behind ? stats.value.dates?.end : undefined
    if (way.value === 'dvr' && edge !== undefined && edge - date < nearLive * 1_000) toLive()
    else if (!engine?.seekDate(date)) toDvr(date)
  }

  /** Connects by WHEP; what plays goes on until the first picture is here. */
  async function join(url: string) {
    const el = video.value
    if (!el || !HlsEngine.supported) return
    const { WhepEngine } = await import('../engines/whep/engine').catch(() => ({ WhepEngine: null }))
    // Chosen otherwise meanwhile, or left.
    if (gone || joining || delivery.value !== 'real' || whep() !== url) return
    if (!WhepEngine?.supported) return leaveRealTime('network')
    const made = new WhepEngine({
      video: el,
      url,
      takeOver() {
        const before = engine
        joining = null
        adopt(made)
        qualities.value = []
        // What was measured is another way's.
        stats.value = timeline.value = null
        way.value = 'live'
        setSpeed(1)
        claim(el, src(), made)
        before?.destroy()
      },
    })
    made.on('unusable', (why) => leaveRealTime(why))
    joining = made
    made.start()
  }

  /** Back to low latency: at once where it never stopped. */
  function leaveRealTime(why: Unusable | null) {
    const el = video.value
    delivery.value = 'low'
    gaveUp.value = why
    // Another stream may well be played in real time; through the same network it will not be.
    if (why !== 'stream') writePreferences({ delivery: 'low' })
    if (joining) {
      joining.destroy()
      joining = null
    } else if (el && engine && !(engine instanceof HlsBase)) {
      engine.destroy()
      startEngine(el, src(), adopt, { onLeft: toDvr, offline })
    }
  }

  /** The viewer wants playback: a new source goes on with it, though loading one pauses the element. */
  let wanted = true
  let asked = false

  async function begin() {
    const el = video.value
    if (!el || !wanted || refused.value) return
    const sound = asked ? !el.muted : preferences.sound === true
    if (!asked) el.volume = volume.value
    asked = true
    refused.value = (await autoplay(el, sound)) === 'refused'
    muted.value = el.muted
  }

  function listen<K extends keyof HTMLMediaElementEventMap>(el: HTMLVideoElement, type: K, run: () => void) {
    el.addEventListener(type, run)
    cleanups.push(() => el.removeEventListener(type, run))
  }

  /** Puts Video.js around the element, once. Its code is fetched now: before the first picture it would delay that. */
  function wrap(): Promise<VideoJsPlayer> {
    shell ??= import('../shell/shell').then(({ createShell }) => {
      const el = video.value
      if (!el || gone) throw new Error('the player has been left')
      const label = el.parentElement?.getAttribute('aria-label') ?? ''
      const player = createShell({ video: el, src: src() })
      // Video.js names the region in a language of its own.
      player.el().setAttribute('aria-label', label)
      player.on('fullscreenchange', () => (fullscreen.value = player.isFullscreen() ?? false))
      player.on('useractive', () => (active.value = true))
      player.on('userinactive', () => (active.value = false))
      return player
    })
    shell.catch(() => (shell = null))
    return shell
  }

  /** Without media source extensions the browser plays HLS itself, or nobody does. */
  async function playNatively(el: HTMLVideoElement) {
    state.value = { phase: 'loading' }
    listen(el, 'playing', () => {
      state.value = { phase: 'playing' }
      shown.value = true
    })
    listen(el, 'error', () => (state.value = { phase: 'failed', failure: 'unsupported' }))
    await wrap()
    await begin()
  }

  let gone = false
  let stopWatching = () => {}
  /**
   * Takes the element as soon as it is made. The first requests leave before the rest of the page is drawn,
   * which a mounted hook would wait for.
   */
  function attach(el: HTMLVideoElement) {
    if (video.value) return
    video.value = el
    listen(el, 'play', () => {
      paused.value = false
      refused.value = false
      wanted = true
    })
    listen(el, 'pause', () => {
      paused.value = true
      // At the end of a stream the element pauses itself; that is not the viewer's wish.
      if (!el.ended) wanted = false
    })
    listen(el, 'emptied', () => {
      paused.value = el.paused
      pictured.value = true
    })
    listen(el, 'loadedmetadata', () => (pictured.value = el.videoWidth > 0))
    listen(el, 'resize', () => (pictured.value = el.videoWidth > 0))
    listen(el, 'volumechange', () => {
      muted.value = el.muted
      volume.value = el.volume
    })
    const onPip = () => (pip.value = document.pictureInPictureElement === el)
    el.addEventListener('enterpictureinpicture', onPip)
    el.addEventListener('leavepictureinpicture', onPip)
    if (!HlsEngine.supported) void playNatively(el)
    else if (from === undefined) startEngine(el, src(), adopt, { onLeft: toDvr, offline })
    else replace(new ArchiveEngine({ video: el, url: src(), from: { position: from } }))
    stopWatching = watch(
      whep,
      (url) => {
        if (url && delivery.value === 'real') void join(url)
      },
      { immediate: true },
    )
  }

  onBeforeUnmount(() => {
    gone = true
    for (const cleanup of cleanups.splice(0)) cleanup()
    stopWatching()
    ending.abort()
    joining?.destroy()
    engine?.destroy()
    engine = joining = null
    void shell?.then((player) => player.dispose()).catch(() => undefined)
  })

  return {
    attach,
    way,
    timeline,
    speed,
    state,
    stats,
    qualities,
    automatic: computed(() => !qualities.value.some((offered) => offered.chosen)),
    delivery,
    gaveUp,
    /** Whether the viewer has a choice of ways. */
    hasRealTime: computed(() => whep() !== null && HlsEngine.supported && 'RTCPeerConnection' in globalThis),
    paused,
    refused,
    muted,
    volume,
    position,
    fullscreen,
    pip,
    active,
    shown,
    pictured,
    togglePlay() {
      const el = video.value
      if (!el) return
      // What is over begins anew.
      if (state.value.phase === 'ended' && way.value !== 'live' && timeline.value) seek(timeline.value.start)
      else if (el.paused) void el.play().catch(() => (refused.value = true))
      else el.pause()
    },
    toggleMuted() {
      const el = video.value
      if (!el) return
      el.muted = !el.muted
      if (!el.muted && el.volume === 0) el.volume = 0.5
      preferences.sound = !el.muted
      writePreferences({ sound: !el.muted, volume: el.volume })
    },
    setVolume(value: number) {
      const el = video.value
      if (!el) return
      el.volume = Math.min(1, Math.max(0, value))
      el.muted = el.volume === 0
      preferences.sound = !el.muted
      writePreferences({ volume: el.volume, sound: !el.muted })
    },
    async toggleFullscreen() {
      try {
        const player = await wrap()
        await (player.isFullscreen() ? player.exitFullscreen() : player.requestFullscreen())
      } catch {
        // Refused by the browser or by the page that frames us: the picture stays as large as it is.
      }
    },
    async togglePip() {
      const el = video.value
      if (!el || !document.pictureInPictureEnabled) return
      // Refused where there is no picture yet, or the page may not: nothing to tell the viewer beyond that it stays.
      if (document.pictureInPictureElement) await document.exitPictureInPicture().catch(() => undefined)
      else await el.requestPictureInPicture().catch(() => undefined)
    },
    choose(wish: Wish) {
      quality.value = wish
      engine?.choose(wish)
      writePreferences({ quality: wish })
    },
    deliver(way: Delivery) {
      gaveUp.value = null
      if (way === delivery.value) return
      if (way === 'low') return leaveRealTime(null)
      delivery.value = way
      writePreferences({ delivery: way })
      const url = whep()
      if (url) void join(url)
    },
    seek,
    setSpeed,
    nudge(seconds: number) {
      if (timeline.value) seek(timeline.value.at + seconds)
    },
    goLive() {
      wanted = true
      if (way.value === 'dvr') toLive()
      else engine?.goLive()
      void video.value?.play().catch(() => (refused.value = true))
    },
    retry() {
      engine?.retry()
    },
    stir() {
      void shell?.then((player) => player.reportUserActivity(undefined)).catch(() => undefined)
    },
  }
}

export type Player = ReturnType<typeof usePlayer>
