class GameRouter:
    def _database(self, app_label):
        return "default" if app_label == "sessions" else "game"

    def db_for_read(self, model, **hints):
        return self._database(model._meta.app_label)

    db_for_write = db_for_read

    def allow_relation(self, obj1, obj2, **hints):
        return True

    def allow_migrate(self, db, app_label, **hints):
        return db == self._database(app_label)
