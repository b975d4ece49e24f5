import { watch } from 'vue'
import { updateStream } from '@/api/studio'
import type { Stream, StreamPatch } from '@/api/types'
import { type FormOptions, useForm } from '@/ui/form'

export interface StreamFormOptions<V> extends Omit<FormOptions<V>, 'send'> {
  read: (stream: Stream) => V
  patch: (before: V, now: V) => StreamPatch
  changed: (next: Stream) => void
  update?: typeof updateStream
}

/** A form for a part of a stream. What is changed elsewhere comes in, unless somebody is writing here. */
export function useStreamForm<V extends object>(stream: () => Stream, options: StreamFormOptions<V>) {
  const { read, patch, changed, update = updateStream, ...rest } = options
  /** What the server has, as far as this form knows. */
  let stored = read(stream())
  let at = stream().updated_at
  const form = useForm(stored, {
    ...rest,
    async send(values) {
      const next = await update(stream().id, patch(stored, values))
      know(next)
      changed(next)
      return stored
    },
  })

  function know(next: Stream) {
    stored = read(next)
    at = next.updated_at
  }

  watch(
    () => stream().updated_at,
    (now) => {
      // An answer that was on its way before the last change was taken is older than that.
      if (now <= at || Object.keys(patch(stored, form.values as V)).length > 0) return
      know(stream())
      Object.assign(form.values, stored)
    },
  )
  return form
}
