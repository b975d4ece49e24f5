import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'
import { getMe } from '@/api/me'
import { type ApiError, tokens } from '@/api/client'
import type { Own, Role } from '@/api/types'

const order: readonly string[] = ['viewer', 'streamer', 'moderator', 'admin'] satisfies Role[]

/** Whether a role is that one, or a higher one. Roles that are not known are none. */
export function atLeast(role: string | undefined, least: Role): boolean {
  return role !== undefined && order.indexOf(role) >= order.indexOf(least)
}

/** Who uses the page. */
export const useSession = defineStore('session', () => {
  const user = shallowRef<Own | null>(null)
  /** It is known whether somebody is signed in. */
  const known = ref(false)
  /** Why the server ended the session; null: it did not, or gave no reason. */
  const ended = shallowRef<ApiError | null>(null)
  const signedIn = computed(() => user.value !== null)
  const mustChangePassword = computed(() => user.value?.must_change_password ?? false)

  tokens.on('session', (session) => {
    user.value = session.user
    known.value = true
    ended.value = null
  })
  tokens.on('over', (reason) => {
    user.value = null
    known.value = true
    ended.value = reason
  })
  tokens.on('password', () => {
    if (user.value) user.value = { ...user.value, must_change_password: true }
  })

  return {
    user,
    known,
    ended,
    signedIn,
    mustChangePassword,
    is: (least: Role) => atLeast(user.value?.role, least),
    /** Resolves when it is known who this is; also where the server does not answer, and then nobody is. */
    async ready() {
      await tokens.usable().catch(() => null)
      known.value = true
    },
    /** What a write of the page answered. */
    set(next: Own) {
      user.value = next
    },
    async reload() {
      user.value = await getMe()
    },
  }
})
