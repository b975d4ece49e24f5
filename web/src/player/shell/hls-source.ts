import type videojs from 'video.js/core.es.js'
import type { PlayerEngine } from '../engines/engine'
import { type EngineOptions, HlsEngine } from '../engines/hls/engine'

export const hlsType = 'application/vnd.apple.mpegurl'

const hls = /^application\/(vnd\.apple\.mpegurl|x-mpegurl)$/i
const engines = new WeakMap<HTMLVideoElement, { engine: PlayerEngine; url: string }>()
const taught = new WeakSet<object>()

/** The engine that plays a source in this element; it runs without Video.js and is taken over by it. */
export function startEngine(
  video: HTMLVideoElement,
  url: string,
  listen?: (engine: HlsEngine) => void,
  options: Pick<EngineOptions, 'onLeft' | 'offline'> = {},
): HlsEngine {
  const engine = new HlsEngine({ video, url, ...options })
  claim(video, url, engine)
  listen?.(engine)
  engine.start()
  return engine
}

/** Says which engine plays a source in this element, by whatever way the media come. */
export function claim(video: HTMLVideoElement, url: string, engine: PlayerEngine): void {
  engines.set(video, { engine, url: absolute(url) })
}

interface Tech {
  el(): HTMLVideoElement
}

interface SourceHandlers {
  registerSourceHandler(handler: object, index: number): void
}

/**
 * Teaches Video.js to play HLS by our engine, ahead of the browser's own HLS: Chromium claims to have it and
 * then starts 40 s behind. Where media source extensions are missing (older iPhones) the browser plays itself.
 */
export function teachHls(vjs: typeof videojs): void {
  const html5 = vjs.getTech('Html5') as unknown as SourceHandlers & object
  if (taught.has(html5) || !HlsEngine.supported) return
  taught.add(html5)
  html5.registerSourceHandler(
    {
      canPlayType: (type: string) => (hls.test(type) ? 'probably' : ''),
      canHandleSource: (source: { type?: string }) => (hls.test(source.type ?? '') ? 'probably' : ''),
      handleSource(source: { src: string }, tech: Tech) {
        const el = tech.el()
        if (engines.get(el)?.url !== absolute(source.src)) startEngine(el, source.src)
        // Engines may change while the source stays.
        return { dispose: () => engines.get(el)?.engine.destroy() }
      },
    },
    0,
  )
}

function absolute(url: string): string {
  return new URL(url, location.href).href
}
