import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type { Stats } from '../engine'
import { WhepEngine } from './engine'

/** A connection as the engine sees it: the test says what becomes of it and what has come by it. */
class FakePeer extends EventTarget {
  connectionState: RTCPeerConnectionState = 'new'
  localDescription: RTCSessionDescriptionInit | null = null
  remote: string[] = []
  configured: RTCConfiguration | null = null
  restarts = 0
  closed = false
  decoded = 0
  packets = 0

  addTransceiver() {}
  async createOffer({ iceRestart = false } = {}) {
    if (iceRestart) this.restarts++
    return { type: 'offer' as const, sdp: 'm=video\r\na=ice-ufrag:u\r\na=ice-pwd:p\r\na=mid:0\r\n' }
  }
  setConfiguration(configuration: RTCConfiguration) {
    this.configured = configuration
  }
  async setLocalDescription(description: RTCSessionDescriptionInit) {
    this.localDescription = description
  }
  async setRemoteDescription({ sdp }: RTCSessionDescriptionInit) {
    this.remote.push(sdp ?? '')
  }
  getReceivers() {
    const sources = () => [{ rtpTimestamp: this.decoded * 3_000 }]
    return [{ track: { kind: 'video' }, getSynchronizationSources: sources }]
  }
  async getStats() {
    const video = {
      type: 'inbound-rtp',
      kind: 'video',
      framesDecoded: this.decoded,
      packetsReceived: this.packets,
    }
    const more = { timestamp: Date.now(), totalProcessingDelay: this.decoded * 0.05, bytesReceived: 0 }
    const pair = { type: 'candidate-pair', nominated: true, state: 'succeeded', currentRoundTripTime: 0.02 }
    return new Map<string, object>([
      ['v', { ...video, ...more }],
      ['p', pair],
    ])
  }
  close() {
    this.closed = true
  }

  becomes(state: RTCPeerConnectionState) {
    this.connectionState = state
    this.dispatchEvent(new Event('connectionstatechange'))
  }
}

const created = (link?: string) =>
  new Response('v=0\r\na=ice-ufrag:s\r\na=ice-pwd:s\r\n', {
    status: 201,
    headers: { Location: '/whep/a/1', ...(link && { Link: link }) },
  })
const notLive = () => new Response('', { status: 404, headers: { 'Retry-After': '1' } })

type Answer = () => Response | Error

function setup(answer: (method: string, n: number) => Answer | undefined = () => undefined) {
  const asked: string[] = []
  const fetch = async (_url: string, { method = 'GET', signal }: RequestInit) => {
    signal?.throwIfAborted()
    asked.push(method)
    const usual = {
      POST: () => created(),
      PATCH: () => new Response('a=ice-ufrag:n\r\n'),
      DELETE: () => new Response(),
    }
    const made = (answer(method, asked.filter((m) => m === method).length) ?? usual[method as 'POST'])()
    if (made instanceof Error) throw made
    return made
  }
  const peers: FakePeer[] = []
  const video = { srcObject: null as unknown, paused: false }
  const takeOver = vi.fn()
  const phases: string[] = []
  const unusable: string[] = []
  let stats: Stats | null = null
  const engine = new WhepEngine({
    video: video as unknown as HTMLVideoElement,
    url: 'http://h/whep/a',
    takeOver,
    fetch: fetch as unknown as typeof globalThis.fetch,
    createPeer: () => {
      const peer = new FakePeer()
      peers.push(peer)
      return peer as unknown as RTCPeerConnection
    },
    now: () => Date.now(),
    random: () => 0.5,
  })
  engine.on('state', (state) => phases.push('absence' in state ? state.absence : state.phase))
  engine.on('unusable', (why) => unusable.push(why))
  engine.on('stats', (next) => (stats = next))
  const peer = () => peers.at(-1) as FakePeer
  const wait = (ms: number) => vi.advanceTimersByTimeAsync(ms)
  return {
    engine,
    asked,
    peers,
    video,
    takeOver,
    phases,
    unusable,
    peer,
    wait,
    stats: () => stats as Stats | null,
    /** Pictures come for so many milliseconds, thirty a second. */
    async flow(ms: number) {
      for (let passed = 0; passed < ms; passed += 100) {
        peer().decoded += 3
        peer().packets += 20
        await wait(100)
      }
    },
    async play() {
      engine.start()
      await wait(100)
      peer().becomes('connected')
      await this.flow(1_000)
    },
  }
}

beforeEach(() => {
  vi.useFakeTimers()
  vi.stubGlobal('MediaStream', EventTarget)
  vi.stubGlobal('document', { visibilityState: 'visible' })
})
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

it('takes the element with the first picture and not before', async () => {
  const t = setup()
  t.engine.start()
  await t.wait(100)
  t.peer().becomes('connected')
  t.peer().packets = 5
  await t.wait(1_000)
  expect(t.takeOver).not.toHaveBeenCalled()
  expect(t.video.srcObject).toBeNull()
  await t.flow(1_500)
  expect(t.takeOver).toHaveBeenCalledOnce()
  expect(t.video.srcObject).not.toBeNull()
  expect(t.phases).toEqual(['loading', 'playing'])
  // 10 ms of network and 50 ms of buffer and decoder.
  expect(t.stats()?.latency).toBeCloseTo(0.06)
  expect(t.stats()?.path).toMatchObject({ network: 0.01 })
  t.engine.destroy()
  await t.wait(0)
  expect(t.asked).toEqual(['POST', 'DELETE'])
  expect(t.peer().closed).toBe(true)
  expect(t.video.srcObject).toBeNull()
})

it('uses the ICE servers of the answer for what is gathered after it', async () => {
  const t = setup((method) => (method === 'POST' ? () => created('<stun:s>; rel="ice-server"') : undefined))
  t.engine.start()
  await t.wait(100)
  expect(t.peer().configured).toEqual({ iceServers: [{ urls: 'stun:s' }] })
  expect(t.peer().localDescription).not.toBeNull()
  t.engine.destroy()
})

it('tells its candidates where the connection is not up without', async () => {
  const t = setup()
  t.engine.start()
  await t.wait(100)
  const candidate = Object.assign(new Event('icecandidate'), { candidate: { candidate: 'candidate:1' } })
  t.peer().dispatchEvent(candidate)
  t.peer().dispatchEvent(candidate)
  await t.wait(100)
  expect(t.asked).toEqual(['POST', 'PATCH'])
  t.engine.destroy()
})

it('is of no use where no connection comes up in three seconds', async () => {
  const t = setup()
  t.engine.start()
  await t.wait(2_900)
  expect(t.unusable).toEqual([])
  await t.wait(200)
  expect(t.unusable).toEqual(['network'])
  expect(t.takeOver).not.toHaveBeenCalled()
  await t.wait(10_000)
  expect(t.asked).toEqual(['POST', 'DELETE'])
})

it.each([403, 415, 422])('is of no use for a stream that is refused with %d', async (status) => {
  const t = setup(() => () => new Response('', { status }))
  t.engine.start()
  await t.wait(5_000)
  expect(t.unusable).toEqual(['stream'])
  expect(t.asked).toEqual(['POST'])
})

it('is of no use where pictures come and none can be decoded', async () => {
  const t = setup()
  await t.play()
  for (let i = 0; i < 60; i++) {
    t.peer().packets += 20
    await t.wait(100)
  }
  expect(t.unusable).toEqual(['stream'])
})

it('waits for a stream that is not live, without an end', async () => {
  const t = setup((method, n) => (method === 'POST' && n < 30 ? notLive : undefined))
  t.engine.start()
  await t.wait(20_000)
  expect(t.unusable).toEqual([])
  await t.wait(20_000)
  expect(t.asked.filter((method) => method === 'POST').length).toBe(30)
  t.engine.destroy()
})

it('tells a publisher who is away from one who is back, by pictures alone', async () => {
  const t = setup()
  await t.play()
  await t.wait(4_000)
  expect(t.phases).toEqual(['loading', 'playing', 'stalled', 'away'])
  expect(t.stats()?.latency).toBeGreaterThan(3)
  await t.flow(500)
  expect(t.phases.at(-1)).toBe('playing')
  expect(t.asked).toEqual(['POST'])
  t.engine.destroy()
})

it('says that the stream has ended, and goes on with the next', async () => {
  let live = true
  const t = setup((method) => {
    if (live || method === 'DELETE') return undefined
    return () => new Response('', { status: 404 })
  })
  await t.play()
  live = false
  t.peer().becomes('closed')
  await t.wait(5_000)
  expect(t.phases.at(-1)).toBe('ended')
  live = true
  await t.wait(2_000)
  t.peer().becomes('connected')
  await t.flow(500)
  expect(t.phases.slice(-3)).toEqual(['ended', 'loading', 'playing'])
  expect(t.takeOver).toHaveBeenCalledOnce()
  t.engine.destroy()
})

it('mends a connection by an ICE restart before it makes another', async () => {
  const t = setup()
  await t.play()
  t.peer().becomes('disconnected')
  await t.wait(1_600)
  expect(t.peer().restarts).toBe(1)
  expect(t.peer().remote.at(-1)).toContain('a=ice-ufrag:n')
  t.peer().becomes('connected')
  await t.flow(500)
  expect(t.asked).toEqual(['POST', 'PATCH'])
  t.peer().becomes('failed')
  await t.wait(3_100)
  expect(t.peers.length).toBe(2)
  t.engine.destroy()
})

it('leaves a connection alone that finds its way back by itself', async () => {
  const t = setup()
  await t.play()
  t.peer().becomes('disconnected')
  await t.wait(1_000)
  t.peer().becomes('connected')
  await t.flow(3_000)
  expect(t.asked).toEqual(['POST'])
  t.engine.destroy()
})

it('keeps trying while the server is out of reach, and says so', async () => {
  let up = true
  const t = setup(() => (up ? undefined : () => new TypeError('refused')))
  await t.play()
  up = false
  t.peer().becomes('failed')
  await t.wait(20_000)
  expect(t.stats()?.reached).toBe(false)
  expect(t.phases.at(-1)).toBe('away')
  up = true
  while (t.peer().remote.length === 0) await t.wait(100)
  t.peer().becomes('connected')
  await t.flow(1_000)
  expect(t.phases.at(-1)).toBe('playing')
  expect(t.stats()?.reached).toBe(true)
  expect(t.unusable).toEqual([])
  t.engine.destroy()
})

it('counts no pause as a stall', async () => {
  const t = setup()
  await t.play()
  t.video.paused = true
  await t.wait(1_500)
  expect(t.phases).toEqual(['loading', 'playing'])
  t.engine.destroy()
})
