import type videojs from 'video.js/core.es.js'
import { HlsEngine } from '../engines/hls/engine'

export const hlsType = 'application/vnd.apple.mpegurl'

const hls = /^application\/(vnd\.apple\.mpegurl|x-mpegurl)$/i
const engines = new WeakMap<HTMLVideoElement, { engine: HlsEngine; url: string }>()
const taught = new WeakSet<object>()

/** The engine that plays a source in this element; it runs without Video.js and is taken over by it. */
export function startEngine(
  video: HTMLVideoElement,
  url: string,
  listen?: (engine: HlsEngine) => void,
): HlsEngine {
  const engine = new HlsEngine({ video, url })
  engines.set(video, { engine, url: absolute(url) })
  listen?.(engine)
  engine.start()
  return engine
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
        const running = engines.get(tech.el())
        const engine =
          running?.url === absolute(source.src) ? running.engine : startEngine(tech.el(), source.src)
        return { dispose: () => engine.destroy() }
      },
    },
    0,
  )
}

function absolute(url: string): string {
  return new URL(url, location.href).href
}
