package account

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"time"

	"mediad/api/caller"
	"mediad/api/limit"
	"mediad/api/object"
	"mediad/api/picture"
	"mediad/api/problem"
	"mediad/store/db"
	"mediad/store/event"
)

// PictureBodyLimit is what a request with a picture may have: more than the picture, for what multipart adds.
const PictureBodyLimit = picture.MaxBytes + 64<<10

// Pictures are how users show themselves.
type Pictures struct {
	service *Service
	objects *object.Keeper
	maker   *picture.Maker
	places  *places
}

// NewPictures makes them.
func NewPictures(s *Service, objects *object.Keeper) *Pictures {
	return &Pictures{service: s, objects: objects, maker: picture.NewMaker(), places: newPlaces()}
}

// pictureKind is one of the pictures of a user.
type pictureKind struct {
	shape picture.Shape
	of    func(db.User) string
	set   func(q db.Queries, id, name string, now db.Millis) error
}

func avatarKind() pictureKind {
	return pictureKind{picture.Avatar, func(u db.User) string { return u.Avatar }, db.Queries.SetAvatar}
}

func bannerKind() pictureKind {
	return pictureKind{picture.Banner, func(u db.User) string { return u.Banner }, db.Queries.SetBanner}
}

// set makes the picture of a request's body and shows it. It returns the name.
func (p *Pictures) set(ctx context.Context, userID string, k pictureKind, contentType string, body io.Reader) (string, error) {
	done, why := p.places.take(userID, limit.Caller(caller.PeerOf(ctx).Addr))
	switch why {
	case roomy:
		defer done()
	case ownCrowd:
		return "", problem.New(problem.RateLimited, "Pictures of yours come in already. Wait for them.").Retry(time.Second)
	case crowded:
		return "", problem.New(problem.Unavailable, "Too many pictures come in. Try again.").Retry(time.Second)
	}
	data, err := receive(contentType, body)
	if err != nil {
		return "", err
	}
	made, err := p.maker.Make(ctx, data, k.shape)
	if err != nil {
		return "", pictureRefusal(err)
	}
	u, err := p.service.db.Read(ctx).FindOpenUser(userID)
	if err != nil {
		return "", err
	}
	if made.Is(k.of(u)) {
		return k.of(u), nil
	}
	name := made.Name()
	err = p.objects.Add(ctx, picture.Key(name), bytes.NewReader(made.Data), int64(len(made.Data)), picture.ContentType(name), func(q db.Queries) error {
		return p.replace(q, userID, k, name)
	})
	if errors.Is(err, object.ErrStorage) {
		p.service.log.WarnContext(ctx, "picture not stored", "error", err)
		return "", problem.New(problem.StorageUnavailable, "The picture cannot be stored now. Try again.")
	}
	return name, err
}

// remove shows none.
func (p *Pictures) remove(ctx context.Context, userID string, k pictureKind) error {
	return p.service.db.Tx(ctx, func(q db.Queries) error { return p.replace(q, userID, k, "") })
}

func (p *Pictures) replace(q db.Queries, userID string, k pictureKind, name string) error {
	u, err := q.FindOpenUser(userID)
	if err != nil {
		return err
	}
	before := k.of(u)
	if before == name {
		return nil
	}
	if before != "" {
		if err := p.objects.Drop(q, picture.Key(before)); err != nil {
			return err
		}
	}
	if err := k.set(q, userID, name, db.At(p.service.now())); err != nil {
		return err
	}
	return event.Emit(q, event.Event{
		Type: event.UserUpdated, Key: event.User(userID), OwnerID: userID, ActorID: userID, Data: map[string]string{"user_id": userID},
	}, p.service.now())
}

// receive reads the picture of a body: all of it, or the field file.
func receive(contentType string, body io.Reader) ([]byte, error) {
	kind, params, err := mime.ParseMediaType(contentType)
	switch {
	case err == nil && imageType(kind):
		return readPicture(body)
	case err != nil || kind != "multipart/form-data" || params["boundary"] == "":
		return nil, unsupported()
	}
	const maxFields = 8
	parts := multipart.NewReader(body, params["boundary"])
	for range maxFields {
		part, err := parts.NextRawPart()
		if err != nil {
			break
		}
		if part.FormName() != "file" {
			continue
		}
		if kind, _, err := mime.ParseMediaType(part.Header.Get("Content-Type")); err != nil || !imageType(kind) && kind != "application/octet-stream" {
			return nil, unsupported()
		}
		return readPicture(part)
	}
	return nil, pictureField("required", "the form has no field file")
}

// imageType says whether a picture of that type may be looked at. What it is is told by its bytes.
func imageType(kind string) bool {
	return strings.HasPrefix(kind, "image/") && !strings.HasPrefix(kind, "image/svg")
}

func readPicture(body io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(body, picture.MaxBytes+1))
	var large *http.MaxBytesError
	switch {
	case len(data) > picture.MaxBytes || errors.As(err, &large):
		p := problem.New(problem.PayloadTooLarge, "The picture is too large.")
		p.MaxBytes = picture.MaxBytes
		return nil, p
	case err != nil:
		return nil, pictureField("invalid_format", "the body broke off")
	}
	return data, nil
}

func unsupported() *problem.Problem {
	return problem.New(problem.UnsupportedMediaType, "The body has to be a JPEG, PNG, WebP or GIF, or a form with one in the field file.")
}

func pictureField(code, message string) *problem.Problem {
	p := problem.New(problem.ValidationFailed, "A value is not allowed; errors tells which.")
	p.Errors = []problem.Field{{Pointer: "/file", Code: code, Message: message}}
	return p
}

// pictureRefusal says in the API's words what is wrong with a picture.
func pictureRefusal(err error) error {
	switch {
	case errors.Is(err, picture.ErrFormat):
		return unsupported()
	case errors.Is(err, picture.ErrSize):
		p := pictureField("out_of_range", "each side has 64 to 8192 pixels")
		least, most := float64(picture.MinSide), float64(picture.MaxSide)
		p.Errors[0].Min, p.Errors[0].Max = &least, &most
		return p
	case errors.Is(err, picture.ErrCostly):
		return pictureField("out_of_range", "it takes too much to decode; send a smaller one")
	case errors.Is(err, picture.ErrBroken):
		return pictureField("invalid_format", "it cannot be decoded")
	}
	return err
}

// pictureInput has a body that is no JSON.
type pictureInput struct {
	contentType string
	body        io.Reader
}

// AvatarBody is where the picture is from now on.
type AvatarBody struct {
	AvatarURL string `json:"avatar_url" doc:"It never changes; another picture has another" example:"/pictures/4be1f3c4a1f03be7d3e62e31e7cb46d70f3a9c21.jpg"`
}

// BannerBody is where the picture is from now on.
type BannerBody struct {
	BannerURL string `json:"banner_url" doc:"It never changes; another picture has another" example:"/pictures/9d0cf7d3be64f1a0c1d05c43dd1b3ab87c21e04f.jpg"`
}

type avatarOutput struct{ Body AvatarBody }

type bannerOutput struct{ Body BannerBody }

func (h *handlers) setAvatar(ctx context.Context, in *pictureInput) (*avatarOutput, error) {
	name, err := h.Pictures.set(ctx, caller.Of(ctx).UserID, avatarKind(), in.contentType, in.body)
	return &avatarOutput{AvatarBody{h.Views.pictureURL(name)}}, err
}

func (h *handlers) setBanner(ctx context.Context, in *pictureInput) (*bannerOutput, error) {
	name, err := h.Pictures.set(ctx, caller.Of(ctx).UserID, bannerKind(), in.contentType, in.body)
	return &bannerOutput{BannerBody{h.Views.pictureURL(name)}}, err
}

func (h *handlers) removeAvatar(ctx context.Context, _ *struct{}) (*struct{}, error) {
	return nil, h.Pictures.remove(ctx, caller.Of(ctx).UserID, avatarKind())
}

func (h *handlers) removeBanner(ctx context.Context, _ *struct{}) (*struct{}, error) {
	return nil, h.Pictures.remove(ctx, caller.Of(ctx).UserID, bannerKind())
}
