import { describe, expect, it, vi } from 'vitest'
import { ApiError } from './client'
import { type Shared, Tokens } from './tokens'
import type { SignedIn } from './types'

const signedIn = (token: string) =>
  ({ access_token: token, expires_in: 900, user: { username: 'anna' } }) as SignedIn

/** Tabs of one browser. */
function browser(someone = true) {
  type Hear = Parameters<Shared['listen']>[0]
  const tabs: Hear[] = []
  let remembered = someone
  let last: Promise<unknown> = Promise.resolve()
  const tab = (): Shared => {
    let own: Hear | null = null
    return {
      alone: (run) => {
        const next = last.then(run, run)
        last = next.catch(() => undefined)
        return next
      },
      tell: (notice) => tabs.filter((hear) => hear !== own).forEach((hear) => hear(notice)),
      listen: (hear) => void tabs.push((own = hear)),
      remembered: () => remembered,
      remember: (now) => void (remembered = now),
    }
  }
  return { tab, remembered: () => remembered }
}

describe('tokens', () => {
  it('are asked for once by any number of requests', async () => {
    const refresh = vi.fn(async () => signedIn('one'))
    const tokens = new Tokens({ refresh, shared: browser().tab() })
    expect(await Promise.all([tokens.usable(), tokens.usable(), tokens.usable()])).toEqual([
      'one',
      'one',
      'one',
    ])
    expect(refresh).toHaveBeenCalledTimes(1)
  })

  it('are asked for once by any number of tabs', async () => {
    const { tab } = browser()
    const refresh = vi.fn(async () => signedIn('one'))
    const tabs = [1, 2, 3].map(() => new Tokens({ refresh, shared: tab() }))
    expect(await Promise.all(tabs.map((tokens) => tokens.usable()))).toEqual(['one', 'one', 'one'])
    expect(refresh).toHaveBeenCalledTimes(1)
  })

  it('are not asked for where nobody was ever signed in', async () => {
    const refresh = vi.fn(async () => signedIn('one'))
    expect(await new Tokens({ refresh, shared: browser(false).tab() }).usable()).toBeNull()
    expect(refresh).not.toHaveBeenCalled()
  })

  it('are replaced before their time is over', async () => {
    let now = 0
    const refresh = vi.fn(async () => signedIn(`at ${now}`))
    const tokens = new Tokens({ refresh, shared: browser().tab(), now: () => now })
    expect(await tokens.usable()).toBe('at 0')
    now = 800_000
    expect(await tokens.usable()).toBe('at 0')
    now = 885_000
    expect(await tokens.usable()).toBe('at 885000')
  })

  it('give way to one that came while the old one was on its way', async () => {
    const refresh = vi.fn(async () => signedIn('never'))
    const tokens = new Tokens({ refresh, shared: browser().tab() })
    tokens.begin(signedIn('new'))
    expect(await tokens.renew('old')).toBe('new')
    expect(refresh).not.toHaveBeenCalled()
  })

  it('end in all tabs where the session is over', async () => {
    const { tab, remembered } = browser()
    const one = new Tokens({
      refresh: () => Promise.reject(new ApiError(401, 'refresh_reused', '', null)),
      shared: tab(),
    })
    const other = new Tokens({ refresh: async () => signedIn('other'), shared: tab() })
    one.begin(signedIn('shared'))
    const over = vi.fn()
    other.on('over', over)
    expect(await one.renew('shared')).toBeNull()
    expect(over).toHaveBeenCalledTimes(1)
    expect(await other.usable()).toBeNull()
    expect(remembered()).toBe(false)
  })

  it('stay where the server cannot be asked now', async () => {
    const { tab, remembered } = browser()
    let answer = () => Promise.reject<SignedIn>(new ApiError(0, 'unreachable', '', null))
    const tokens = new Tokens({ refresh: () => answer(), shared: tab() })
    await expect(tokens.usable()).rejects.toMatchObject({ code: 'unreachable' })
    expect(remembered()).toBe(true)
    answer = async () => signedIn('later')
    expect(await tokens.usable()).toBe('later')
  })

  it('tell why the server ended the session', async () => {
    const reason = new ApiError(403, 'account_suspended', '', null, { reason: 'spam' })
    const tokens = new Tokens({ refresh: () => Promise.reject(reason), shared: browser().tab() })
    const over = vi.fn()
    tokens.on('over', over)
    expect(await tokens.usable()).toBeNull()
    expect(over).toHaveBeenCalledWith(reason)
  })
})
