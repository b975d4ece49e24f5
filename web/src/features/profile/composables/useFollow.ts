import { computed, type Ref, ref, shallowRef, watch } from 'vue'
import { asApiError } from '@/api/client'
import type { User } from '@/api/types'
import { follow, type Notify, unfollow } from '@/api/users'

export interface FollowOptions {
  /** Hears of a change that the server has taken. */
  changed?: (user: User) => void
  put?: typeof follow
  remove?: typeof unfollow
}

/** What the caller has to do with a user: shown at once, taken back where the server refuses. */
export function useFollow(
  user: Ref<User | null>,
  { changed, put = follow, remove = unfollow }: FollowOptions = {},
) {
  const following = ref(false)
  const notify = ref<Notify>('live')
  const followers = ref(0)
  const busy = ref(false)
  /** Code of the refusal of the last change; null: it was taken. */
  const failed = shallowRef<string | null>(null)

  watch(
    user,
    (now) => {
      following.value = now?.me?.following ?? false
      notify.value = (now?.me?.notify as Notify | null | undefined) ?? 'live'
      followers.value = now?.followers_count ?? 0
    },
    { immediate: true },
  )

  async function change(on: boolean, how: Notify) {
    const about = user.value
    if (!about || busy.value) return
    const name = about.username
    const before = [following.value, notify.value, followers.value] as const
    busy.value = true
    failed.value = null
    following.value = on
    notify.value = how
    followers.value = Math.max(0, before[2] + Number(on) - Number(before[0]))
    try {
      if (on) followers.value = (await put(name, how)).followers_count
      else await remove(name)
      changed?.(after(about))
    } catch (error) {
      ;[following.value, notify.value, followers.value] = before
      failed.value = asApiError(error).code
    } finally {
      busy.value = false
    }
  }

  /** The user as they are after the change. */
  function after(about: User): User {
    const me = about.me && {
      ...about.me,
      following: following.value,
      notify: following.value ? notify.value : null,
    }
    return { ...about, followers_count: followers.value, ...(me ? { me } : {}) }
  }

  return {
    following,
    notify,
    followers: computed(() => followers.value),
    failed,
    toggle: () => change(!following.value, 'live'),
    ring: (how: Notify) => change(true, how),
  }
}
