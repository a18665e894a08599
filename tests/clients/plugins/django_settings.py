"""Settings for Django's tests: where the database is, and a runner that writes down what became of each test."""

import os

HOST, PORT = os.environ["NUNATAK_DJANGO_HOST"], os.environ["NUNATAK_DJANGO_PORT"]


def database(name):
    return {"ENGINE": "django.db.backends.postgresql", "NAME": name, "USER": "postgres", "PASSWORD": "pw", "HOST": HOST, "PORT": PORT}


DATABASES = {"default": database("django"), "other": database("django_other")}
SECRET_KEY = "django_tests_secret_key"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = False
TEST_RUNNER = "django_runner.Runner"
