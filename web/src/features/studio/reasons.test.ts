import { expect, it } from 'vitest'
import source from '../../../../live/reason.go?raw'
import studio from '@/i18n/en/studio.json'

/** Reasons of players alone: no encoder leaves for one. */
const ofPlayers = [
  'viewer_left',
  'not_live',
  'playback_token_invalid',
  'playback_token_expired',
  'rights_changed',
]

it('has words for each reason that the server has', () => {
  const reasons = [...source.matchAll(/^\tReason\w+ +Reason = "(\w+)"/gm)].map((m) => m[1] ?? '')
  expect(reasons.length).toBeGreaterThan(25)
  const told = Object.keys(studio.log.codes)
  expect([...told, ...ofPlayers].sort()).toEqual(reasons.sort())
  for (const reason of Object.keys(studio.history.reasons)) expect(reasons).toContain(reason)
})
