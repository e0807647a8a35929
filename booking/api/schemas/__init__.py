"""booking/api/schemas"""
