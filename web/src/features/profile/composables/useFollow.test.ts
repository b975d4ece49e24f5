import { expect, it, vi } from 'vitest'
import { shallowRef } from 'vue'
import { ApiError } from '@/api/client'
import type { User } from '@/api/types'
import { useFollow } from './useFollow'

const anna = (me?: Partial<User['me']>) =>
  shallowRef({ username: 'anna', followers_count: 5, me } as User | null)

it('shows a change at once, and then what the server counts', async () => {
  const put = vi.fn(async () => ({ following: true, followers_count: 9 }))
  const { following, followers, toggle } = useFollow(anna(), { put })
  const changing = toggle()
  expect([following.value, followers.value]).toEqual([true, 6])
  await changing
  expect([following.value, followers.value]).toEqual([true, 9])
  expect(put).toHaveBeenCalledWith('anna', 'live')
})

it('takes it back where it is refused', async () => {
  const put = vi.fn(() => Promise.reject(new ApiError(403, 'blocked_by_user', '', null)))
  const { following, followers, failed, toggle } = useFollow(anna(), { put })
  await toggle()
  expect([following.value, followers.value, failed.value]).toEqual([false, 5, 'blocked_by_user'])
})

it('sends one change at a time', async () => {
  const put = vi.fn(async () => ({ following: true, followers_count: 6 }))
  const remove = vi.fn(async () => undefined)
  const { toggle } = useFollow(anna(), { put, remove })
  await Promise.all([toggle(), toggle()])
  expect(put).toHaveBeenCalledTimes(1)
  expect(remove).not.toHaveBeenCalled()
})

it('keeps the wish of the bell', async () => {
  const put = vi.fn(async () => ({ following: true, followers_count: 5 }))
  const { notify, followers, ring } = useFollow(anna({ following: true, notify: 'live' }), { put })
  await ring('none')
  expect([notify.value, followers.value]).toEqual(['none', 5])
})
