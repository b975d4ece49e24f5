import { describe, expect, it } from 'vitest'
import { Recovery } from './recovery'

const middle = () => 0.5

describe('recovery', () => {
  it('starts loading again with growing pauses', () => {
    const recovery = new Recovery(middle)
    const waits = Array.from({ length: 6 }, () => recovery.network())
    expect(waits.map((w) => (w.do === 'restart-load' ? w.after : null))).toEqual([
      1_000, 2_000, 4_000, 8_000, 8_000, 8_000,
    ])
    recovery.sound(0)
    expect(recovery.network()).toEqual({ do: 'restart-load', after: 1_000 })
  })

  it('climbs from recovery over another codec to a new source', () => {
    const recovery = new Recovery(middle)
    expect([recovery.media(0).do, recovery.media(1_000).do, recovery.media(2_000).do]).toEqual([
      'recover-media',
      'swap-codec',
      'reload',
    ])
  })

  it('takes an error after calm for a new one', () => {
    const recovery = new Recovery(middle)
    recovery.media(0)
    expect(recovery.media(6_000).do).toBe('recover-media')
  })

  it('gives up after six new sources in a minute, not sooner and not later', () => {
    const recovery = new Recovery(middle)
    for (let i = 0; i < 6; i++) expect(recovery.other(i * 100).do).toBe('reload')
    expect(recovery.other(700).do).toBe('give-up')
    expect(recovery.other(70_000).do).toBe('reload')
  })
})
