import { expect, it, vi } from 'vitest'
import { ApiError } from '@/api/client'
import type { AdminUser } from '@/api/types'
import { answerRequest } from './requests'

/** A server with one user, who changes before the calls that `meanwhile` has something for. */
function server(meanwhile: (Partial<AdminUser> | undefined)[] = []) {
  const user = { id: '1', role: 'viewer', streamer_requested: true, display_name: 'Anna' } as AdminUser
  let version = 1
  const change = (to: Partial<AdminUser> | undefined) => {
    if (!to) return
    Object.assign(user, to)
    version++
  }
  return {
    user,
    seen: { ...user },
    lookUp: vi.fn(async () => {
      change(meanwhile.shift())
      return { user: { ...user }, etag: `"v${version}"` }
    }),
    change: vi.fn(async (_id: string, to: object, etag?: string) => {
      change(meanwhile.shift())
      if (etag !== `"v${version}"`) throw new ApiError(412, 'version_mismatch', '', null)
      change({ ...to, streamer_requested: false })
      return user
    }),
  }
}

it('gives the role on the version that was looked up', async () => {
  const on = server()
  expect(await answerRequest(on.seen, 'streamer', on)).toEqual({ given: true })
  expect(on.change).toHaveBeenCalledWith('1', { role: 'streamer' }, '"v1"')
  expect(on.user.role).toBe('streamer')
})

it.each([
  ['answered', { role: 'moderator', streamer_requested: false }],
  ['taken back', { streamer_requested: false }],
  ['of another role', { role: 'moderator' }],
])('gives nothing where the request is %s by now', async (_what, change) => {
  for (const meanwhile of [[change], [undefined, change]]) {
    const on = server(meanwhile)
    const answered = await answerRequest(on.seen, 'viewer', on)
    expect(answered).toMatchObject({ given: false, now: { ...change } })
    expect(on.user).toMatchObject(change)
  }
})

it('looks again where something else has changed', async () => {
  const on = server([undefined, { display_name: 'Anna Ace' }])
  expect(await answerRequest(on.seen, 'streamer', on)).toEqual({ given: true })
  expect(on.lookUp).toHaveBeenCalledTimes(2)
})

it('gives up on a user who changes all the time', async () => {
  const on = server([undefined, {}, undefined, {}, undefined, {}, undefined, {}])
  await expect(answerRequest(on.seen, 'streamer', on)).rejects.toMatchObject({ code: 'version_mismatch' })
})
