import { nextTick, reactive, ref, shallowReactive, shallowRef } from 'vue'
import { type ApiError, asApiError } from '@/api/client'

/** What is wrong with one value: a code of the API, or one of the page's own checks. */
export interface Fault {
  code: string
  message?: string
  min?: number | undefined
  max?: number | undefined
}

export type Faults<V> = Partial<Record<keyof V, Fault>>

export interface FormOptions<V> {
  /** What the server has made of them, if that is to be shown: in fields that nobody has changed since they were sent. */
  send: (values: V) => Promise<Partial<V>> | Promise<void>
  /** What need not be asked of the server, which judges all values anyway. */
  check?: (values: V) => Faults<V>
  /** Codes of refusals that are about one value. */
  about?: Record<string, keyof V>
  /** JSON pointers of values that stand in the API elsewhere than at the top, by another name than here. */
  pointers?: Record<string, keyof V>
}

export const required: Fault = { code: 'required' }

/** Values as they are now: lists among them are changed in place. */
function texts<V extends object>(values: V): Partial<Record<keyof V, string>> {
  return Object.fromEntries(
    Object.entries(values).map(([key, value]) => [key, JSON.stringify(value) ?? '']),
  ) as Partial<Record<keyof V, string>>
}

/**
 * Values of a form, and what the server says of them: refusals that name a value stand beside its field, others above
 * the button. Only one sending runs at a time.
 */
export function useForm<V extends object>(
  initial: V,
  { send, check, about = {}, pointers = {} }: FormOptions<V>,
) {
  const values = reactive({ ...initial })
  const faults = shallowReactive({}) as Faults<V>
  /** A refusal that is about no field of the form. */
  const failure = shallowRef<ApiError | null>(null)
  const busy = ref(false)
  /** The last sending was taken. */
  const done = ref(false)

  const faulty = () => Object.values(faults).some(Boolean)

  function clear() {
    for (const key of Object.keys(faults)) faults[key as keyof V] = undefined
    failure.value = null
    done.value = false
  }

  function judge(error: unknown) {
    const reason = asApiError(error)
    const field = about[reason.code]
    if (field !== undefined) faults[field] = { code: reason.code, message: reason.detail }
    for (const { pointer, ...fault } of reason.fields) {
      const key =
        pointers[pointer] ??
        (pointer.split('/').find((part) => Object.hasOwn(values, part)) as keyof V | undefined)
      if (key !== undefined) faults[key] ??= fault
      else failure.value = reason
    }
    if (!faulty()) failure.value = reason
  }

  /** Takes values in fields that still are as they were at the time of `as`. */
  function merge(next: Partial<V>, as: Partial<Record<keyof V, string>>) {
    const now = texts(values as V)
    for (const key of Object.keys(next) as (keyof V)[]) {
      if (now[key] === as[key]) Object.assign(values, { [key]: next[key] })
    }
  }

  async function submit(event?: Event) {
    if (busy.value) return
    const form = event?.currentTarget
    clear()
    Object.assign(faults, check?.(values as V))
    if (!faulty()) {
      busy.value = true
      try {
        const sent = texts(values as V)
        const stored = await send({ ...(values as V) })
        if (stored) merge(stored, sent)
        done.value = true
      } catch (error) {
        judge(error)
      } finally {
        busy.value = false
      }
    }
    await nextTick()
    if (form instanceof HTMLElement) form.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus()
  }

  /** Takes other values, as those that are stored now. */
  function reset(next: V) {
    Object.assign(values, next)
    clear()
  }

  return reactive({ values, faults, failure, busy, done, submit, reset, clear })
}
