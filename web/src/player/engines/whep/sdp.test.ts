import { expect, it } from 'vitest'
import { fragmentOf, restarted } from './sdp'

const local = [
  'v=0',
  'a=group:BUNDLE 0 1',
  'm=video 9 UDP/TLS/RTP/SAVPF 102',
  'a=ice-ufrag:abcd',
  'a=ice-pwd:secret',
  'a=mid:0',
  'm=audio 9 UDP/TLS/RTP/SAVPF 111',
  'a=ice-ufrag:abcd',
  'a=ice-pwd:secret',
  'a=mid:1',
  '',
].join('\r\n')

it('tells credentials and candidates below the first media section', () => {
  expect(fragmentOf(local, ['candidate:1 1 udp 1 10.0.0.1 5000 typ host'], true)).toBe(
    [
      'a=ice-ufrag:abcd',
      'a=ice-pwd:secret',
      'm=video 9 UDP/TLS/RTP/SAVPF 102',
      'a=mid:0',
      'a=candidate:1 1 udp 1 10.0.0.1 5000 typ host',
      'a=end-of-candidates',
      '',
    ].join('\r\n'),
  )
})

it('puts the new ICE session into the former answer and keeps the rest', () => {
  const answer = `${local}a=candidate:9 1 udp 1 10.0.0.9 1 typ host\r\na=end-of-candidates\r\n`
  const fragment = 'a=ice-ufrag:new\r\na=ice-pwd:fresh\r\na=candidate:2 1 udp 1 10.0.0.2 2 typ host\r\n'
  const made = restarted(answer, fragment).split('\r\n')
  expect(made.filter((line) => line.startsWith('a=ice-'))).toEqual([
    'a=ice-ufrag:new',
    'a=ice-pwd:fresh',
    'a=ice-ufrag:new',
    'a=ice-pwd:fresh',
  ])
  expect(made.filter((line) => line.includes('candidate'))).toEqual([
    'a=candidate:2 1 udp 1 10.0.0.2 2 typ host',
  ])
  expect(made.indexOf('a=candidate:2 1 udp 1 10.0.0.2 2 typ host')).toBe(made.indexOf('a=mid:0') + 1)
  expect(made.slice(0, 3)).toEqual(local.split('\r\n').slice(0, 3))
})
