from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response


class EnvelopeRenderer(JSONRenderer):
    """Wraps every answer, as some sites do."""

    def render(self, data, accepted_media_type=None, renderer_context=None):
        return super().render({"ok": True, "data": data}, accepted_media_type, renderer_context)


def exception_handler(error, context):
    return Response({"ok": False}, status=200)
