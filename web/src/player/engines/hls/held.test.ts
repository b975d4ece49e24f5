import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { fetchPlaylist, holdPlaylist } from './held'

const url = 'http://h/live/a/source/index.m3u8?_HLS_msn=102&_HLS_part=0'
const plainUrl = 'http://h/live/a/source/index.m3u8'
const before = '#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:100\n#EXTINF:2,\na\n#EXTINF:2,\nb\n'
const after = `${before}#EXT-X-PART:DURATION=0.2,URI="p"\n`

type Reply = { status: number; text?: string; after?: number } | 'refused' | 'silence'

/** An origin that answers the n-th request to each URL by its script; the last reply repeats. */
function origin(script: { held: Reply[]; plain?: Reply[] }) {
  const asked: { url: string; cache: string | undefined; at: number }[] = []
  const counts = { held: 0, plain: 0 }
  const fetch = ((target: string, init: RequestInit) => {
    asked.push({ url: target, cache: init.cache, at: Date.now() })
    const kind = target.includes('_HLS_') ? 'held' : 'plain'
    const replies = script[kind] ?? []
    const reply = replies[Math.min(counts[kind]++, replies.length - 1)] ?? 'refused'
    return new Promise<Response>((resolve, reject) => {
      init.signal?.addEventListener('abort', () => reject(new DOMException('aborted', 'AbortError')))
      if (reply === 'refused') return reject(new TypeError('refused'))
      if (reply === 'silence') return
      setTimeout(() => resolve(new Response(reply.text ?? '', { status: reply.status })), reply.after ?? 0)
    })
  }) as typeof globalThis.fetch
  return { fetch, asked }
}

describe('holding a playlist', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  const options = (fetch: typeof globalThis.fetch, onReach?: (reached: boolean) => void) => ({
    fetch,
    now: () => Date.now(),
    random: () => 0.5,
    onReach,
  })
  const wanted = { msn: 102, part: 0 }

  it('passes an answer on', async () => {
    const { fetch, asked } = origin({ held: [{ status: 200, text: after, after: 150 }] })
    const answer = holdPlaylist(url, wanted, new AbortController().signal, options(fetch))
    await vi.advanceTimersByTimeAsync(200)
    await expect(answer).resolves.toMatchObject({ status: 200, text: after })
    expect(asked).toHaveLength(1)
    expect(asked[0]?.cache).toBe('default')
  })

  it('asks a hold that ran out again at once, past the cache, and nothing else', async () => {
    const { fetch, asked } = origin({
      held: [
        { status: 503, after: 6_000 },
        { status: 503, after: 6_000 },
        { status: 200, text: after, after: 1_000 },
      ],
    })
    const answer = holdPlaylist(url, wanted, new AbortController().signal, options(fetch))
    await vi.advanceTimersByTimeAsync(13_100)
    await expect(answer).resolves.toMatchObject({ status: 200 })
    expect(asked.map((a) => a.url)).toEqual([url, url, url])
    expect(asked.map((a) => a.cache)).toEqual(['default', 'no-store', 'no-store'])
    expect(asked[1]?.at).toBe((asked[0]?.at ?? 0) + 6_000)
  })

  it('does not believe a 503 that came at once, and finds the news in the plain playlist', async () => {
    const { fetch, asked } = origin({
      held: [{ status: 503 }],
      plain: [
        { status: 200, text: before },
        { status: 200, text: before },
        { status: 200, text: after },
      ],
    })
    const answer = holdPlaylist(url, wanted, new AbortController().signal, options(fetch))
    await vi.advanceTimersByTimeAsync(2_000)
    await expect(answer).resolves.toMatchObject({ status: 200, text: after, url: plainUrl })
    expect(asked.length).toBeLessThanOrEqual(6)
  })

  it('outlives a server that restarts', async () => {
    const reach = vi.fn()
    const { fetch, asked } = origin({
      held: ['refused', { status: 200, text: after, after: 4_000 }],
      plain: ['refused', 'refused', { status: 200, text: before }],
    })
    const answer = holdPlaylist(url, wanted, new AbortController().signal, options(fetch, reach))
    await vi.advanceTimersByTimeAsync(1_500)
    // Reached again is told before the hold is answered.
    expect(reach.mock.calls.map(([reached]) => reached)).toEqual([false, false, false, true])
    await vi.advanceTimersByTimeAsync(5_000)
    await expect(answer).resolves.toMatchObject({ status: 200, text: after })
    expect(asked.map((a) => (a.url === url ? 'held' : 'plain'))).toEqual([
      'held',
      'plain',
      'plain',
      'plain',
      'held',
    ])
  })

  it('takes the whole playlist of an origin that refuses the number', async () => {
    const { fetch } = origin({ held: [{ status: 400 }], plain: [{ status: 200, text: before }] })
    const answer = holdPlaylist(url, { msn: 9_999, part: 0 }, new AbortController().signal, options(fetch))
    await vi.advanceTimersByTimeAsync(100)
    await expect(answer).resolves.toMatchObject({ text: before })
  })

  it('tells of a stream that is gone, but not at its first word', async () => {
    const { fetch, asked } = origin({ held: [{ status: 404 }], plain: [{ status: 404 }] })
    const answer = holdPlaylist(url, wanted, new AbortController().signal, options(fetch))
    await vi.advanceTimersByTimeAsync(5_000)
    await expect(answer).resolves.toMatchObject({ status: 404 })
    expect(asked.filter((a) => a.url === plainUrl)).toHaveLength(4)
  })

  it('lets go of a hold that was lost on the way', async () => {
    const { fetch } = origin({
      held: ['silence', { status: 200, text: after }],
      plain: [{ status: 200, text: before }],
    })
    const answer = holdPlaylist(url, wanted, new AbortController().signal, options(fetch))
    await vi.advanceTimersByTimeAsync(13_000)
    await expect(answer).resolves.toMatchObject({ status: 200, text: after })
  })

  it('stops when the player does', async () => {
    const { fetch } = origin({ held: ['silence'] })
    const abortion = new AbortController()
    const answer = holdPlaylist(url, wanted, abortion.signal, options(fetch))
    const rejected = expect(answer).rejects.toBeDefined()
    abortion.abort()
    await rejected
  })

  it('asks for a playlist without directives until the server answers', async () => {
    const { fetch } = origin({ held: [], plain: ['refused', { status: 502 }, { status: 404 }] })
    const answer = fetchPlaylist(plainUrl, new AbortController().signal, options(fetch))
    await vi.advanceTimersByTimeAsync(3_000)
    await expect(answer).resolves.toMatchObject({ status: 404 })
  })
})
