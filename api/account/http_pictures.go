package account

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"mediad/api/problem"
)

// Resolve implements huma.Resolver: the body is read by who knows what it may be.
func (i *pictureInput) Resolve(ctx huma.Context) []error {
	i.contentType, i.body = ctx.Header("Content-Type"), ctx.BodyReader()
	return nil
}

// registerPictures mounts the routes of avatar and banner.
func (h *handlers) registerPictures(api huma.API) {
	binary := &huma.Schema{Type: huma.TypeString, Format: "binary"}
	put := func(id, path, summary string) huma.Operation {
		return problem.Document(api, huma.Operation{
			OperationID: id, Method: http.MethodPut, Path: "/api/v1/me/" + path, Tags: []string{"users"}, Summary: summary,
			Description: "JPEG, PNG, WebP, or the first picture of a GIF; up to 5 MiB, each side 64 to 8192 pixels. It is turned upright, cropped, " +
				"made smaller and written anew without what else the file has in it.",
			RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"image/*": {Schema: binary}}},
		}, problem.Unauthenticated, problem.ScopeMissing, problem.UnsupportedMediaType, problem.ValidationFailed, problem.StorageUnavailable)
	}
	remove := func(id, path, summary string) huma.Operation {
		return problem.Document(api, huma.Operation{
			OperationID: id, Method: http.MethodDelete, Path: "/api/v1/me/" + path, Tags: []string{"users"}, Summary: summary,
			DefaultStatus: http.StatusNoContent,
		}, problem.Unauthenticated, problem.ScopeMissing)
	}
	avatar, banner := put("setAvatar", "avatar", "Show a picture beside the name"), put("setBanner", "banner", "Show a wide picture above the profile")
	huma.Register(api, avatar, problem.Handle(h.Log, h.setAvatar))
	huma.Register(api, remove("deleteAvatar", "avatar", "Show no picture beside the name"), problem.Handle(h.Log, h.removeAvatar))
	huma.Register(api, banner, problem.Handle(h.Log, h.setBanner))
	huma.Register(api, remove("deleteBanner", "banner", "Show no picture above the profile"), problem.Handle(h.Log, h.removeBanner))
	form := &huma.Schema{Type: huma.TypeObject, Properties: map[string]*huma.Schema{"file": binary}, Required: []string{"file"}}
	for _, op := range []huma.Operation{avatar, banner} { // afterwards: a schema of fields makes huma read the body
		op.RequestBody.Content["multipart/form-data"] = &huma.MediaType{Schema: form}
	}
}
