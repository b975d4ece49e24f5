import type videojs from 'video.js/core.es.js'
import { HlsEngine } from '../engines/hls/engine'

const hls = /^application\/(vnd\.apple\.mpegurl|x-mpegurl)$/i

export const hlsType = 'application/vnd.apple.mpegurl'

/** Waits for the engine that Video.js makes once it has looked at the source. */
const awaited = new WeakMap<Element, (engine: HlsEngine) => void>()
const registered = new WeakSet<object>()

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
export function registerHls(vjs: typeof videojs): void {
  const html5 = vjs.getTech('Html5') as unknown as SourceHandlers & object
  if (registered.has(html5) || !HlsEngine.supported) return
  registered.add(html5)
  html5.registerSourceHandler(
    {
      canPlayType: (type: string) => (hls.test(type) ? 'probably' : ''),
      canHandleSource: (source: { type?: string }) => (hls.test(source.type ?? '') ? 'probably' : ''),
      handleSource(source: { src: string }, tech: Tech) {
        const engine = new HlsEngine({ video: tech.el(), url: source.src })
        awaited.get(tech.el())?.(engine)
        engine.start()
        return { dispose: () => engine.destroy() }
      },
    },
    0,
  )
}

/** Calls back with the engine of each source that the element is given, before it starts. */
export function onEngine(video: HTMLVideoElement, callback: (engine: HlsEngine) => void): void {
  awaited.set(video, callback)
}
