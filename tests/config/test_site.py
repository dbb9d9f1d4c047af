"""The site around the API: start page, documentation, admin, and its errors."""

from __future__ import annotations

import pytest
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", ["/", "/api/docs/", "/admin/login/"])
def test_the_pages_answer(client: Client, path: str) -> None:
    response = client.get(path)

    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/html")


def test_the_api_documentation_loads_nothing_from_other_sites(client: Client) -> None:
    page = client.get("/api/docs/").content.decode()

    assert "//cdn" not in page
    assert "https://" not in page


def test_the_schema_has_sign_up_sign_in_and_the_token(client: Client) -> None:
    schema = client.get("/api/schema/", {"format": "json"}).json()

    assert {"/api/signup/", "/api/auth/login/"} <= set(schema["paths"])
    assert schema["components"]["securitySchemes"]["tokenAuth"]["name"] == "Authorization"
    assert {"400", "401", "403", "429"} <= set(schema["paths"]["/api/auth/login/"]["post"]["responses"])


def test_the_schema_is_generated_once_for_all_clients(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    first = client.get("/api/schema/", {"format": "json"}).content
    monkeypatch.setattr(SchemaGenerator, "get_schema", None)  # a second call would raise
    second = Client(headers={"Authorization": "Token wrong"}).get("/api/schema/", {"format": "json"}).content

    assert first == second != b""


@pytest.mark.parametrize("path", ["/api/", "/api/nowhere/", "/api/heists", "/api/\x00", "/api/\n", "/api/%ff"])
@pytest.mark.parametrize("method", ["get", "post", "put", "delete"])
def test_an_unknown_path_of_the_api_is_a_problem(api: APIClient, method: str, path: str) -> None:
    response = getattr(api, method)(path)

    assert response.status_code == 404
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["code"] == "not_found"
    assert response.json()["type"] == "urn:heists:problems:not_found"


def test_an_unknown_path_of_the_api_needs_no_csrf_token() -> None:
    client = Client(enforce_csrf_checks=True)

    assert client.post("/api/nowhere/").status_code == 404
    # As other pages do.
    assert client.post("/admin/login/").status_code == 403


def test_an_unknown_page_is_an_html_404(client: Client) -> None:
    response = client.get("/nowhere/")

    assert response.status_code == 404
    assert response["Content-Type"].startswith("text/html")


def test_an_unknown_host_is_a_400_problem(api: APIClient) -> None:
    response = api.get("/api/nowhere/", HTTP_HOST="evil.example")

    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"


def test_the_admin_is_in_the_language_of_the_request(client: Client) -> None:
    assert "Anmelden" in client.get("/admin/login/", headers={"accept-language": "de"}).content.decode()


@pytest.mark.parametrize("path", ["/api/docs", "/api/schema"])
def test_the_documentation_is_found_without_its_slash(client: Client, path: str) -> None:
    response = client.get(path, {"lang": "de"})

    assert (response.status_code, response["Location"]) == (302, f"{path}/?lang=de")


def test_an_error_outside_of_the_views_is_in_the_language_of_the_request(client: Client) -> None:
    answer = client.get("/api/nowhere/", headers={"accept-language": "de"}).json()

    assert answer["title"] == "Nicht gefunden"
    assert answer["detail"] == "Diesen Pfad gibt es nicht. Jeder Pfad endet mit einem Schrägstrich."
