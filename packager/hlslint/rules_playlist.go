package hlslint

func syntaxRules() []Rule {
	const s = SubjectSyntax
	return []Rule{
		{ID: "extm3u-missing", Level: Must, Section: "rfc8216bis 4.4.1.1", Subject: s, Text: "The first line of every playlist is #EXTM3U."},
		{ID: "not-utf8", Level: Must, Section: "rfc8216bis 4.1", Subject: s, Text: "A playlist is encoded in UTF-8 without a byte order mark."},
		{ID: "control-character", Level: Must, Section: "rfc8216bis 4.1", Subject: s, Text: "A playlist has no control characters other than CR and LF."},
		{ID: "mixed-kinds", Level: Must, Section: "rfc8216bis 4.4.6", Subject: s, Text: "Tags of a multivariant playlist and of a media playlist do not stand in one file."},
		{ID: "tag-duplicate", Level: Must, Section: "rfc8216bis 4.4.3", Subject: s, Text: "A tag that describes the whole playlist stands at most once."},
		{ID: "tag-unknown", Level: Should, Section: "rfc8216bis 4.1", Subject: s, Text: "Every #EXT tag is one that the specification has; clients ignore the others."},
		{ID: "value-syntax", Level: Must, Section: "rfc8216bis 4.4", Subject: s, Text: "The value of a tag without attributes has the form and range that the tag asks for."},
		{ID: "attribute-syntax", Level: Must, Section: "rfc8216bis 4.2", Subject: s, Text: "Attribute lists are NAME=value pairs with commas between and no space around."},
		{ID: "attribute-duplicate", Level: Must, Section: "rfc8216bis 4.2", Subject: s, Text: "A name stands at most once in an attribute list."},
		{ID: "attribute-missing", Level: Must, Section: "rfc8216bis 4.4", Subject: s, Text: "A tag has all attributes that it requires."},
		{ID: "attribute-type", Level: Must, Section: "rfc8216bis 4.2", Subject: s, Text: "An attribute's value has the type and, where enumerated, one of the values that the tag defines."},
		{ID: "uri-missing", Level: Must, Section: "rfc8216bis 4.4.4", Subject: s, Text: "The tags of a segment or of a variant are followed by its URI line."},
		{ID: "variable-undefined", Level: Must, Section: "rfc8216bis 4.3", Subject: s, Text: "A variable that is used is defined before."},
		{ID: "define-invalid", Level: Must, Section: "rfc8216bis 4.4.2.3", Subject: s, Text: "EXT-X-DEFINE has exactly one of NAME (with VALUE), IMPORT and QUERYPARAM, each resolvable and named once."},
		{ID: "version-too-low", Level: Must, Section: "rfc8216bis 8", Subject: s, Text: "EXT-X-VERSION is at least what the tags and attributes in use ask for."},
	}
}

func multivariantRules() []Rule {
	const s = SubjectMultivariant
	return []Rule{
		{ID: "codecs-missing", Level: Should, Section: "rfc8216bis 4.4.6.2", Subject: s, Text: "Every variant has CODECS."},
		{ID: "resolution-missing", Level: Should, Section: "rfc8216bis 4.4.6.2, Apple 9.2", Subject: s, Text: "A variant with video has RESOLUTION."},
		{ID: "frame-rate-missing", Level: Should, Section: "rfc8216bis 4.4.6.2, Apple 9.15", Subject: s, Text: "A variant with video has FRAME-RATE."},
		{ID: "average-bandwidth-missing", Level: Should, Section: "Apple 9.14", Subject: s, Text: "Every variant has AVERAGE-BANDWIDTH."},
		{ID: "average-over-peak", Level: Must, Section: "rfc8216bis 4.4.6.2", Subject: s, Text: "AVERAGE-BANDWIDTH is not above BANDWIDTH."},
		{ID: "group-undefined", Level: Must, Section: "rfc8216bis 4.4.6.2", Subject: s, Text: "A group that a variant names is defined by an EXT-X-MEDIA of that type."},
		{ID: "group-unused", Level: Should, Section: "rfc8216bis 4.4.6.2.1", Subject: s, Text: "Every group of renditions is named by a variant."},
		{ID: "media-name-duplicate", Level: Must, Section: "rfc8216bis 4.4.6.1.1", Subject: s, Text: "Members of a group have different NAMEs."},
		{ID: "media-default-twice", Level: Must, Section: "rfc8216bis 4.4.6.1.1", Subject: s, Text: "A group has at most one member with DEFAULT=YES."},
		{ID: "media-autoselect", Level: Must, Section: "rfc8216bis 4.4.6.1", Subject: s, Text: "AUTOSELECT, where given, is YES when DEFAULT is."},
		{ID: "media-closed-captions", Level: Must, Section: "rfc8216bis 4.4.6.1", Subject: s, Text: "TYPE=CLOSED-CAPTIONS has a valid INSTREAM-ID and no URI."},
		{ID: "media-subtitles-uri", Level: Must, Section: "rfc8216bis 4.4.6.2.1", Subject: s, Text: "TYPE=SUBTITLES has a URI."},
		{ID: "media-type-attribute", Level: Must, Section: "rfc8216bis 4.4.6.1", Subject: s, Text: "FORCED stands only on subtitles; CHANNELS, BIT-DEPTH and SAMPLE-RATE only on audio."},
		{ID: "media-groups-differ", Level: Must, Section: "rfc8216bis 4.4.6.1.1", Subject: s, Text: "All groups of one type have the same members with the same attributes."},
		{ID: "media-channels-missing", Level: Should, Section: "rfc8216bis 4.4.6.1", Subject: s, Text: "Audio renditions have CHANNELS."},
		{ID: "closed-captions-mixed", Level: Must, Section: "rfc8216bis 4.4.6.2", Subject: s, Text: "CLOSED-CAPTIONS=NONE stands on all variants or on none."},
		{ID: "session-data-invalid", Level: Must, Section: "rfc8216bis 4.4.6.4", Subject: s, Text: "EXT-X-SESSION-DATA has either VALUE or URI, and a DATA-ID and LANGUAGE only once."},
		{ID: "score-partial", Level: Should, Section: "rfc8216bis 4.4.6.2", Subject: s, Text: "SCORE stands on all variants or on none."},
		{ID: "variant-duplicate", Level: Should, Section: "rfc8216bis 4.4.6.2", Subject: s, Text: "No two variants are equal in URI and all attributes."},
		{ID: "codecs-in-band", Level: Should, Section: "Apple 1.10", Subject: s, Text: "Parameter sets are in the sample description: avc1, hvc1 and dvh1 rather than avc3, hev1 and dvhe."},
		{ID: "independent-repeated", Level: Should, Section: "rfc8216bis 4.4.2.1", Subject: s, Text: "EXT-X-INDEPENDENT-SEGMENTS in the multivariant playlist is not repeated in its media playlists."},
		{ID: "iframe-without-tag", Level: Must, Section: "rfc8216bis 4.4.6.3", Subject: s, Text: "The playlist of an EXT-X-I-FRAME-STREAM-INF has EXT-X-I-FRAMES-ONLY."},
		{ID: "single-variant", Level: Should, Section: "Apple 9.9", Subject: s, Authoring: true, Text: "Video is offered at several bit rates."},
		{ID: "iframe-playlist-missing", Level: Should, Section: "Apple 6.1", Subject: s, Authoring: true, Text: "I-frame playlists are offered for trick play."},
		{ID: "media-language-missing", Level: Should, Section: "Apple 8.10", Subject: s, Authoring: true, Text: "Audio and subtitle renditions have LANGUAGE."},
		{ID: "default-variant-rate", Level: Should, Section: "Apple 1.32", Subject: s, Authoring: true, Text: "The first variant is of middle size, about 2 Mbit/s."},
		{ID: "low-variant-missing", Level: Should, Section: "Apple 9 (cellular)", Subject: s, Authoring: true, Text: "One variant needs at most 192 kbit/s."},
	}
}

func mediaRules() []Rule {
	const s = SubjectMedia
	return []Rule{
		{ID: "targetduration-missing", Level: Must, Section: "rfc8216bis 4.4.3.1", Subject: s, Text: "A media playlist has EXT-X-TARGETDURATION."},
		{ID: "extinf-over-target", Level: Must, Section: "rfc8216bis 4.4.3.1", Subject: s, Text: "Each EXTINF, rounded to whole seconds, is at most the target duration."},
		{ID: "extinf-missing", Level: Must, Section: "rfc8216bis 4.4.4.1", Subject: s, Text: "Every segment has EXTINF."},
		{ID: "sequence-late", Level: Must, Section: "rfc8216bis 4.4.3.2, 4.4.3.3", Subject: s, Text: "EXT-X-MEDIA-SEQUENCE and EXT-X-DISCONTINUITY-SEQUENCE stand before the first segment, the latter before any EXT-X-DISCONTINUITY."},
		{ID: "byterange-no-offset", Level: Must, Section: "rfc8216bis 4.4.4.2", Subject: s, Text: "A byte range without offset follows a range of the same resource."},
		{ID: "key-invalid", Level: Must, Section: "rfc8216bis 4.4.4.4", Subject: s, Text: "EXT-X-KEY has a URI unless METHOD is NONE, and nothing else where it is; no IV with SAMPLE-AES-CTR or AES-256-GCM."},
		{ID: "map-missing", Level: Must, Section: "rfc8216bis 3.1.2, Apple 8.20", Subject: s, Text: "Fragmented MP4 segments without own moov have an EXT-X-MAP."},
		{ID: "pdt-zone-missing", Level: Should, Section: "rfc8216bis 4.4.4.6", Subject: s, Text: "EXT-X-PROGRAM-DATE-TIME has a time zone and milliseconds."},
		{ID: "pdt-missing", Level: Should, Section: "Apple 8.4", Subject: s, Text: "A live media playlist has EXT-X-PROGRAM-DATE-TIME."},
		{ID: "pdt-against-extinf", Level: Should, Section: "rfc8216bis 4.4.4.6", Subject: s, Text: "Between two dates without a discontinuity lies the sum of the durations, within 50 ms."},
		{ID: "daterange-without-pdt", Level: Must, Section: "rfc8216bis 4.4.5.1", Subject: s, Text: "A playlist with EXT-X-DATERANGE has EXT-X-PROGRAM-DATE-TIME."},
		{ID: "daterange-invalid", Level: Must, Section: "rfc8216bis 4.4.5.1", Subject: s, Text: "A date range ends at its start plus its duration and never before its start; END-ON-NEXT has CLASS and no end; CUE has not both PRE and POST."},
		{ID: "daterange-conflict", Level: Must, Section: "rfc8216bis 4.4.5.1", Subject: s, Text: "Date ranges with one ID agree in every attribute that both have."},
		{ID: "discontinuity-sequence-missing", Level: Should, Section: "Apple 8.17", Subject: s, Text: "A live playlist with EXT-X-DISCONTINUITY has EXT-X-DISCONTINUITY-SEQUENCE."},
		{ID: "map-change-unmarked", Level: Should, Section: "rfc8216bis 4.4.4.3", Subject: s, Text: "A change of EXT-X-MAP comes with EXT-X-DISCONTINUITY."},
		{ID: "vod-without-endlist", Level: Should, Section: "rfc8216bis 4.4.3.5", Subject: s, Text: "A playlist of type VOD, which cannot change, has EXT-X-ENDLIST."},
		{ID: "vod-type-missing", Level: Should, Section: "Apple 8.6", Subject: s, Authoring: true, Text: "A playlist made from static content says EXT-X-PLAYLIST-TYPE:VOD."},
		{ID: "start-too-late", Level: Should, Section: "rfc8216bis 4.4.2.2", Subject: s, Text: "EXT-X-START lies within the playlist and, in a live one, not in the last three target durations."},
	}
}

func lowLatencyRules() []Rule {
	const s = SubjectLowLatency
	return []Rule{
		{ID: "part-inf-missing", Level: Must, Section: "rfc8216bis 4.4.3.7", Subject: s, Text: "A playlist with parts has EXT-X-PART-INF."},
		{ID: "part-over-target", Level: Must, Section: "rfc8216bis 4.4.4.9", Subject: s, Text: "No part lasts longer than PART-TARGET."},
		{ID: "part-under-target", Level: Must, Section: "rfc8216bis 4.4.4.9", Subject: s, Text: "A part lasts at least 85 % of PART-TARGET unless it is independent, a gap, before a gap, or the last of its segment."},
		{ID: "parts-not-segment", Level: Must, Section: "rfc8216bis 4.4.4.9", Subject: s, Text: "The parts of a complete segment sum to its EXTINF."},
		{ID: "part-tag-order", Level: Must, Section: "rfc8216bis 4.4.4.9", Subject: s, Text: "Tags that apply to a segment stand before its first part."},
		{ID: "parts-too-old", Level: Should, Section: "rfc8216bis 6.2.2", Subject: s, Text: "Parts are listed only within three target durations of the end."},
		{ID: "parts-without-segment", Level: Should, Section: "rfc8216bis 6.2.2", Subject: s, Text: "A playlist with parts has a complete segment too; hls.js takes one without for empty."},
		{ID: "parts-in-iframes", Level: Should, Section: "rfc8216bis 4.4.4.9", Subject: s, Text: "An I-frame playlist has no parts."},
		{ID: "part-hold-back-missing", Level: Must, Section: "rfc8216bis 4.4.3.8", Subject: s, Text: "A playlist with EXT-X-PART-INF has PART-HOLD-BACK."},
		{ID: "part-hold-back-small", Level: Must, Section: "rfc8216bis 4.4.3.8", Subject: s, Text: "PART-HOLD-BACK is at least twice PART-TARGET."},
		{ID: "part-hold-back-tight", Level: Should, Section: "rfc8216bis 4.4.3.8", Subject: s, Text: "PART-HOLD-BACK is at least three times the largest PART-TARGET of any rendition."},
		{ID: "hold-back-small", Level: Must, Section: "rfc8216bis 4.4.3.8", Subject: s, Text: "HOLD-BACK is at least three target durations."},
		{ID: "can-skip-until-small", Level: Must, Section: "rfc8216bis 4.4.3.8", Subject: s, Text: "CAN-SKIP-UNTIL is at least six target durations."},
		{ID: "can-skip-dateranges-alone", Level: Must, Section: "rfc8216bis 4.4.3.8", Subject: s, Text: "CAN-SKIP-DATERANGES stands only with CAN-SKIP-UNTIL."},
		{ID: "can-block-reload-missing", Level: Must, Section: "rfc8216bis B.1", Subject: s, Text: "A live playlist with parts has CAN-BLOCK-RELOAD=YES."},
		{ID: "pdt-missing-ll", Level: Must, Section: "rfc8216bis B.1", Subject: s, Text: "A live playlist with parts has EXT-X-PROGRAM-DATE-TIME."},
		{ID: "preload-hint-missing", Level: Should, Section: "rfc8216bis 6.2.6, B.1", Subject: s, Text: "A live playlist with parts hints the next one."},
		{ID: "preload-hint-listed", Level: Should, Section: "rfc8216bis 4.4.5.3", Subject: s, Text: "A hint names what is not listed yet."},
		{ID: "preload-hint-duplicate", Level: Should, Section: "rfc8216bis 6.2.6", Subject: s, Text: "A playlist has at most one hint of each type."},
		{ID: "preload-hint-after-end", Level: Must, Section: "rfc8216bis 4.4.5.3", Subject: s, Text: "A playlist with EXT-X-ENDLIST has no hint."},
		{ID: "skip-unasked", Level: Must, Section: "rfc8216bis 6.2.5.1", Subject: s, Text: "EXT-X-SKIP stands only in the answer to _HLS_skip, once."},
		{ID: "rendition-report-missing", Level: Must, Section: "rfc8216bis B.1", Subject: s, Text: "A low-latency playlist reports on every other media playlist of the presentation."},
		{ID: "rendition-report-unknown", Level: Should, Section: "rfc8216bis 4.4.5.4", Subject: s, Text: "A report names another playlist of the multivariant playlist."},
		{ID: "rendition-report-absolute", Level: Must, Section: "rfc8216bis 4.4.5.4", Subject: s, Text: "The URI of a report is relative to the playlist."},
		{ID: "rendition-report-incomplete", Level: Should, Section: "rfc8216bis 4.4.5.4", Subject: s, Text: "A report gives LAST-MSN and LAST-PART, which players do not all infer."},
	}
}
