import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { untilLive, untilNext } from './knock'

const multivariant = 'http://h/live/a/index.m3u8'
const media = 'http://h/live/a/source/index.m3u8'
const ended = '#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:100\n#EXTINF:2,\na\n#EXT-X-ENDLIST\n'
const renewed = '#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:101\n#EXTINF:2,\nb\n'

function setup(answer: (url: string, n: number) => [number, string?] | null) {
  let n = 0
  const fetch = vi.fn(async (url: string) => {
    const reply = answer(url, n++)
    if (!reply) throw new TypeError('refused')
    return new Response(reply[1] ?? '', { status: reply[0] })
  })
  return {
    fetch,
    options: { fetch: fetch as unknown as typeof globalThis.fetch, random: () => 0.5, visible: () => true },
  }
}

async function settled(promise: Promise<void>, ms: number): Promise<boolean> {
  let done = false
  void promise.then(() => (done = true))
  await vi.advanceTimersByTimeAsync(ms)
  return done
}

describe('knocking', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it('asks once a second until the stream is live, whatever happens', async () => {
    const { fetch, options } = setup((_url, n) =>
      n === 0 ? [404] : n === 1 ? null : n === 2 ? [503] : [200],
    )
    expect(await settled(untilLive(multivariant, new AbortController().signal, options), 4_100)).toBe(true)
    expect(fetch).toHaveBeenCalledTimes(4)
  })

  it('asks less often from a hidden page', async () => {
    const { fetch, options } = setup(() => [404])
    void untilLive(multivariant, new AbortController().signal, { ...options, visible: () => false })
    await vi.advanceTimersByTimeAsync(11_000)
    expect(fetch).toHaveBeenCalledTimes(2)
  })

  it('waits for a newer segment without the end', async () => {
    const { options } = setup((_url, n) => [200, n < 2 ? ended : renewed])
    expect(
      await settled(untilNext(media, multivariant, 100, new AbortController().signal, options), 2_500),
    ).toBe(false)
    await vi.advanceTimersByTimeAsync(1_000)
  })

  it('is not fooled by old segments alone', async () => {
    const { options } = setup(() => [200, renewed])
    expect(
      await settled(untilNext(media, multivariant, 101, new AbortController().signal, options), 5_000),
    ).toBe(false)
  })

  it('asks for the stream itself when its last playlist has gone', async () => {
    const { fetch, options } = setup((url) => (url === media ? [404] : [200]))
    expect(
      await settled(untilNext(media, multivariant, 100, new AbortController().signal, options), 1_100),
    ).toBe(true)
    expect(fetch.mock.calls.map(([url]) => url)).toEqual([media, multivariant])
  })

  it('does not ask while it is known that nothing is there', async () => {
    const { fetch, options } = setup(() => [200])
    let offline = true
    const waiting = untilLive(multivariant, new AbortController().signal, {
      ...options,
      offline: () => offline,
    })
    expect(await settled(waiting, 5_000)).toBe(false)
    expect(fetch).not.toHaveBeenCalled()
    offline = false
    expect(await settled(waiting, 1_100)).toBe(true)
    expect(fetch).toHaveBeenCalledTimes(1)
  })

  it('stops when told', async () => {
    const { fetch, options } = setup(() => [404])
    const abortion = new AbortController()
    const waiting = untilLive(multivariant, abortion.signal, options)
    abortion.abort()
    expect(await settled(waiting, 10_000)).toBe(true)
    expect(fetch).not.toHaveBeenCalled()
  })
})
