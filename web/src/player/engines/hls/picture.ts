/**
 * Knows when the element last showed something new. Pictures are counted where there are any; a hidden page
 * or a stream of sound alone decodes none, so there the position must move.
 */
export class PictureClock {
  /** Monotonic milliseconds of the newest picture. */
  at = 0
  frames = 0
  dropped = 0
  private position = 0

  constructor(private readonly video: HTMLVideoElement) {}

  /** Counts from now on: the element got a new source, or came back into sight. */
  restart(now: number): void {
    this.at = now
    this.position = this.video.currentTime
    this.read()
  }

  /** Whether something new was shown since the last look. */
  look(now: number): boolean {
    const { frames, position } = this
    this.read()
    const counts = this.video.videoWidth > 0 && document.visibilityState === 'visible'
    this.position = this.video.currentTime
    // A seek moves the position and shows nothing.
    const moved = counts ? this.frames > frames : this.position > position && !this.video.seeking
    if (moved) this.at = now
    // A new source starts its count again.
    return moved
  }

  private read(): void {
    const quality = this.video.getVideoPlaybackQuality()
    this.frames = quality.totalVideoFrames
    this.dropped = quality.droppedVideoFrames
  }
}
