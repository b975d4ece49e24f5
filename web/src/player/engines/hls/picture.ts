/**
 * Knows when the element last showed something new. Where the browser tells of each picture that it paints,
 * that counts: decoded pictures are counted some ahead, even while playback stands. A hidden page paints
 * nothing and a stream of sound alone has no pictures, so there the position must move.
 */
export class PictureClock {
  /** Monotonic milliseconds of the newest picture. */
  at = 0
  /** Decoded and dropped since the source was loaded. */
  frames = 0
  dropped = 0
  private painted = 0
  private shown = 0
  private position = 0
  private callback = 0

  constructor(private readonly video: HTMLVideoElement) {}

  /** Begins to listen; `stop` ends it. */
  start(): void {
    if (!('requestVideoFrameCallback' in this.video)) return
    const onPicture = () => {
      this.painted++
      this.callback = this.video.requestVideoFrameCallback(onPicture)
    }
    this.callback = this.video.requestVideoFrameCallback(onPicture)
  }

  stop(): void {
    if ('cancelVideoFrameCallback' in this.video) this.video.cancelVideoFrameCallback(this.callback)
  }

  /** Counts from now on: the element got a new source, or came back into sight. */
  restart(now: number): void {
    this.at = now
    this.read()
  }

  /** Whether something new was shown since the last look. */
  look(now: number): boolean {
    const { shown, frames, position } = this
    this.read()
    const pictures = this.video.videoWidth > 0 && document.visibilityState === 'visible'
    // A seek moves the position and shows nothing.
    const advanced = this.position > position && !this.video.seeking
    // A player that was scrolled away may paint nothing and play on all the same.
    const runs =
      advanced && this.frames > frames && this.video.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA
    const moved = pictures ? this.shown > shown || runs : advanced
    if (moved) this.at = now
    return moved
  }

  private read(): void {
    const quality = this.video.getVideoPlaybackQuality()
    this.frames = quality.totalVideoFrames
    this.dropped = quality.droppedVideoFrames
    this.shown = 'requestVideoFrameCallback' in this.video ? this.painted : this.frames
    this.position = this.video.currentTime
  }
}
