import type {
  HlsConfig,
  Loader,
  LoaderCallbacks,
  LoaderConfiguration,
  LoaderStats,
  PlaylistLoaderContext,
} from 'hls.js'
import { type Answer, fetchPlaylist, type HeldOptions, holdPlaylist } from './held'

/**
 * The playlist loader given to hls.js: its timers and retries are replaced by those of held.ts, because it
 * must never hear of a hold that ended without news. The multivariant playlist keeps the usual rules: there
 * a 404 says that nothing is live. `edit` may change a playlist before hls.js reads it.
 */
export function playlistLoader(options: HeldOptions, edit: (text: string) => string = (text) => text) {
  return class HeldPlaylistLoader implements Loader<PlaylistLoaderContext> {
    context: PlaylistLoaderContext | null = null
    stats: LoaderStats = newStats()
    private abortion = new AbortController()
    private callbacks: LoaderCallbacks<PlaylistLoaderContext> | null = null
    private age: number | null = null

    // hls.js makes loaders with its configuration; nothing in it concerns us.
    constructor(readonly hlsConfig: HlsConfig) {}

    load(
      context: PlaylistLoaderContext,
      _config: LoaderConfiguration,
      callbacks: LoaderCallbacks<PlaylistLoaderContext>,
    ): void {
      this.context = context
      this.callbacks = callbacks
      this.stats.loading.start = options.now()
      void this.run(context)
    }

    private async run(context: PlaylistLoaderContext): Promise<void> {
      const { signal } = this.abortion
      const { msn, part } = context.deliveryDirectives ?? {}
      try {
        const answer =
          msn === undefined
            ? await fetchPlaylist(context.url, signal, options)
            : await holdPlaylist(context.url, { msn, part }, signal, options)
        signal.throwIfAborted()
        this.finish(context, answer)
      } catch (error) {
        if (!signal.aborted)
          this.callbacks?.onError({ code: 0, text: String(error) }, context, null, this.stats)
      }
    }

    private finish(context: PlaylistLoaderContext, answer: Answer): void {
      const { stats } = this
      this.age = answer.age
      stats.loading.first = Math.max(answer.first, stats.loading.start)
      stats.loading.end = Math.max(options.now(), stats.loading.first)
      stats.loaded = stats.total = answer.text.length
      if (answer.status === 200) {
        const data = edit(answer.text)
        this.callbacks?.onSuccess({ url: answer.url, data, code: 200 }, stats, context, null)
      } else {
        this.callbacks?.onError({ code: answer.status, text: '' }, context, null, stats)
      }
    }

    abort(): void {
      if (this.stats.loading.end || this.abortion.signal.aborted) return
      this.stats.aborted = true
      this.abortion.abort()
      if (this.context) this.callbacks?.onAbort?.(this.stats, this.context, null)
    }

    destroy(): void {
      this.callbacks = null
      this.abortion.abort()
    }

    getCacheAge(): number | null {
      return this.age
    }

    getResponseHeader(): string | null {
      return null
    }
  }
}

function newStats(): LoaderStats {
  return {
    aborted: false,
    loaded: 0,
    retry: 0,
    total: 0,
    chunkCount: 0,
    bwEstimate: 0,
    loading: { start: 0, first: 0, end: 0 },
    parsing: { start: 0, end: 0 },
    buffering: { start: 0, first: 0, end: 0 },
  }
}
