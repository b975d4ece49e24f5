import { computed, type ComputedRef, onScopeDispose, shallowRef } from 'vue'
import { ApiError, asApiError } from '@/api/client'
import { getSiteSettings, type SiteSettings, updateSiteSettings } from '@/api/operations'
import type { SiteSetting, SiteSettingsPatch } from '@/api/types'
import { useForm } from '@/ui/form'

/** A key whose value somebody else has changed since it was read here. */
export interface Conflict {
  key: string
  was: string
  is: string
}

export interface SiteSettingsOptions {
  load?: typeof getSiteSettings
  save?: typeof updateSiteSettings
}

/** Refusals that say: read it again. */
const outdated = (error: unknown): error is ApiError =>
  error instanceof ApiError && (error.code === 'version_mismatch' || error.code === 'if_match_required')

const texts = ({ items }: SiteSettings) =>
  Object.fromEntries(items.map(({ key, value }) => [key, String(value)]))

/**
 * The site's settings in a form. They are written on the version that was read: where somebody was quicker, nothing is written, `conflicts`
 * tells what they changed, and what is typed here stays, to be sent again on what is there now.
 */
export function useSiteSettings(options: SiteSettingsOptions = {}) {
  const { load = getSiteSettings, save = updateSiteSettings } = options
  const read = shallowRef<SiteSettings | null>(null)
  const error = shallowRef<ApiError | null>(null)
  /** Null: nobody else has changed anything. Empty: somebody has, and back. */
  const conflicts = shallowRef<Conflict[] | null>(null)
  const abortion = new AbortController()
  onScopeDispose(() => abortion.abort())

  const items = computed<readonly SiteSetting[]>(() => read.value?.items ?? [])
  const changed: ComputedRef<SiteSetting[]> = computed(() =>
    items.value.filter(({ key, value }) => form.values[key] !== String(value)),
  )

  const form = useForm<Record<string, string>>(
    {},
    {
      check: () =>
        Object.fromEntries(
          changed.value
            .filter((item) => parsed(item) === undefined)
            .map(({ key }) => [key, { code: 'invalid' }]),
        ),
      async send() {
        read.value = await write(Object.fromEntries(changed.value.map((item) => [item.key, parsed(item)])))
        return texts(read.value)
      },
    },
  )

  /** What is typed for a key, as its value is: undefined: it is no such value. */
  function parsed({ key, default: usual }: SiteSetting): string | number | undefined {
    const typed = (form.values[key] ?? '').trim()
    if (typeof usual !== 'number') return typed
    return /^\d{1,15}$/.test(typed) ? Number(typed) : undefined
  }

  async function reload() {
    error.value = null
    try {
      read.value = await load(abortion.signal)
      form.reset(texts(read.value))
      conflicts.value = null
    } catch (reason) {
      if (!abortion.signal.aborted) error.value = asApiError(reason)
    }
  }

  /** Reads again what others wrote, and keeps what is typed here. */
  async function compare() {
    const before = read.value
    const next = await load(abortion.signal)
    const old: Record<string, string | undefined> = before ? texts(before) : {}
    conflicts.value = next.items.flatMap(({ key, value }) => {
      const was = old[key]
      return was === undefined || was === String(value) ? [] : [{ key, was, is: String(value) }]
    })
    keepTyped(next)
  }

  /** Shows what was read, and keeps what is typed here. */
  function keepTyped(next: SiteSettings, but?: string) {
    const old: Record<string, string | undefined> = read.value ? texts(read.value) : {}
    for (const [key, value] of Object.entries(texts(next))) {
      if (key === but || form.values[key] === old[key]) form.values[key] = value
    }
    read.value = next
  }

  async function write(patch: Record<string, unknown>): Promise<SiteSettings> {
    try {
      const next = await save(read.value?.etag ?? '', patch as SiteSettingsPatch)
      conflicts.value = null
      return next
    } catch (reason) {
      if (outdated(reason)) await compare()
      throw reason
    }
  }

  void reload()
  return {
    items,
    error,
    conflicts,
    changed,
    form,
    reload,
    /** Back to what file, environment or default say. */
    takeBack: async (key: string) => keepTyped(await write({ [key]: null }), key),
  }
}
