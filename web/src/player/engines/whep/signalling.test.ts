import { expect, it, vi } from 'vitest'
import { iceServersOf, Signalling, type SignallingError } from './signalling'

const { signal } = new AbortController()

function setup(...answers: (Response | Error)[]) {
  const fetch = vi.fn<(url: string, init: RequestInit) => Promise<Response>>(async () => {
    const answer = answers.shift()
    if (!answer || answer instanceof Error) throw answer
    return answer
  })
  return { fetch, signalling: new Signalling('http://h/whep/a', fetch as unknown as typeof globalThis.fetch) }
}

const created = () =>
  new Response('answer', {
    status: 201,
    headers: {
      Location: '/whep/a/1',
      ETag: '"x"',
      Link: '<stun:s:3478>; rel="ice-server", <turn:t:3478?transport=udp>; rel="ice-server"; username="u"; credential="c,d"',
    },
  })

it('offers, trickles, restarts and ends', async () => {
  const { fetch, signalling } = setup(
    created(),
    new Response(null, { status: 204 }),
    new Response('fragment', { status: 200, headers: { ETag: '"y"' } }),
    new Response(),
  )
  const session = await signalling.offer('offer', signal)
  expect(session).toEqual({
    answer: 'answer',
    resource: 'http://h/whep/a/1',
    etag: '"x"',
    iceServers: [
      { urls: 'stun:s:3478' },
      { urls: 'turn:t:3478?transport=udp', username: 'u', credential: 'c,d' },
    ],
  })
  expect(await signalling.trickle(session, 'candidates', signal)).toBe(true)
  expect(await signalling.restart(session, 'credentials', signal)).toEqual({
    fragment: 'fragment',
    etag: '"y"',
  })
  await signalling.end(session)
  const fragment = 'application/trickle-ice-sdpfrag'
  expect(fetch.mock.calls.map(([url, { method, headers, body }]) => [method, url, headers, body])).toEqual([
    ['POST', 'http://h/whep/a', { 'Content-Type': 'application/sdp' }, 'offer'],
    ['PATCH', 'http://h/whep/a/1', { 'Content-Type': fragment, 'If-Match': '"x"' }, 'candidates'],
    ['PATCH', 'http://h/whep/a/1', { 'Content-Type': fragment, 'If-Match': '*' }, 'credentials'],
    ['DELETE', 'http://h/whep/a/1', undefined, undefined],
  ])
})

it.each([
  [new Response('', { status: 404, headers: { 'Retry-After': '1' } }), 404, 1_000],
  [new Response('', { status: 422 }), 422, 0],
  [new Response('', { status: 503, headers: { 'Retry-After': 'Thu, 01 Jan 2026 00:00:00 GMT' } }), 503, 0],
  [new Response('', { status: 201 }), 201, 0],
  [new TypeError('refused'), 0, 0],
])('tells refusals apart', async (answer, status, retryAfter) => {
  const refused = setup(answer).signalling.offer('offer', signal)
  await expect(refused).rejects.toMatchObject({ status, retryAfter } satisfies Partial<SignallingError>)
})

it('ends without a word where nobody answers', async () => {
  const { signalling } = setup(created(), new TypeError('refused'))
  await expect(signalling.end(await signalling.offer('offer', signal))).resolves.toBeUndefined()
})

it('takes ICE servers alone from links', () => {
  expect(iceServersOf('</x>; rel="next", <stun:a>; rel=ice-server')).toEqual([{ urls: 'stun:a' }])
  expect(iceServersOf('')).toEqual([])
})
