import type Hls from 'hls.js'

/**
 * hls.js waits with sound until the picture of the same epoch has told where media time begins, and then looks
 * whether it may go on only at its next two timer ticks, up to 0.2 s later. The first picture after a start,
 * and after a publisher's return, waits for that sound: so it is told to look now. The field is not part of its
 * public interface; where it is missing nothing is lost but the time.
 */
export function hurrySound(hls: Hls): void {
  const sound = (hls as unknown as { audioStreamController?: { tick?: () => void } }).audioStreamController
  // The first look ends the waiting, the second loads.
  sound?.tick?.()
  sound?.tick?.()
}
